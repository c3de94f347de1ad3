// The sign between two places of a boarding pass, drawn for this project on a 24 by 24 grid.

export const TRANSIT = {
  PKTransitTypeAir:
    "M22.6 12c0-.8-.9-1.3-2.1-1.3h-5.1L9.9 3H8.1l2.6 7.7H5.6L3.7 8.3H2.2L3.4 12l-1.2 3.7h1.5l1.9-2.4h5.1L8.1 21h1.8l5.5-7.7h5.1c1.2 0 2.1-.5 2.1-1.3z",
  PKTransitTypeTrain:
    "M7 3h10a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3l2 3h-2.4l-2-3H9.4l-2 3H5l2-3a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3zm-1 4v4h12V7zm2.5 6a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm7 0a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  PKTransitTypeBus:
    "M6 3h12a2 2 0 0 1 2 2v12h-1.5v2a1 1 0 0 1-1 1H16a1 1 0 0 1-1-1v-2H9v2a1 1 0 0 1-1 1H6.5a1 1 0 0 1-1-1v-2H4V5a2 2 0 0 1 2-2zm0 3v5h12V6zm1.5 7a1.25 1.25 0 1 0 0 2.5 1.25 1.25 0 0 0 0-2.5zm9 0a1.25 1.25 0 1 0 0 2.5 1.25 1.25 0 0 0 0-2.5z",
  PKTransitTypeBoat:
    "M11 2h2v4h5v5l3 1-2.5 6c-1.2.8-2.3.8-3.5 0-1.8-1.2-3.2-1.2-5 0-1.2.8-2.3.8-3.5 0L4 12l2-1V6h5zM8 8v2.3l4-1.3 4 1.3V8zM3 20c2 1.3 4 1.3 6 0 2 1.3 4 1.3 6 0 2 1.3 4 1.3 6 0v2c-2 1.3-4 1.3-6 0-2 1.3-4 1.3-6 0-2 1.3-4 1.3-6 0z",
  PKTransitTypeGeneric: "M3 11h13.2l-4.6-4.6L13 5l7 7-7 7-1.4-1.4 4.6-4.6H3z",
};
