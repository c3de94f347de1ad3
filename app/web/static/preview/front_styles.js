// How the front of a pass looks. Positions and sizes were measured on screenshots of real iPhones, in points of a
// card 375 wide; the poster of iOS 27 is an approximation.

import { sheet } from "./sheet.js";

export const FRONT = sheet(`
:host { display: block; container-type: inline-size; --u: calc(100cqi / 375); -webkit-font-smoothing: antialiased; text-rendering: geometricPrecision }
* { box-sizing: border-box; margin: 0; padding: 0 }
.apple { font-family: -apple-system, "SF Pro Text", "SF Pro Display", Inter, system-ui, sans-serif; font-optical-sizing: auto }
.card { position: relative; width: 375u; height: 525u; overflow: hidden; border-radius: 11u; background: var(--background); color: var(--foreground); font-size: 16u; line-height: 1.2 }
/* Wallet lights the upper edge: 5 % brighter, fading out. A white overlay would wash dark cards out. */
.sheen { position: absolute; inset: 0 0 auto 0; height: 54u; background: linear-gradient(#0c0c0c 28%, #000); mix-blend-mode: color-dodge; pointer-events: none }
.header { position: absolute; left: 13u; right: 13u; top: 0; height: 64u; display: flex; align-items: flex-start; justify-content: space-between; gap: 10u; z-index: 2 }
.brand { display: flex; align-items: center; gap: 8u; height: 64u; min-width: 0; flex: 0 1 auto }
.brand img { display: block; height: auto; max-height: 44u; max-width: 160u }
.brand b { font-weight: 600; font-size: 18.5u; letter-spacing: -.012em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; line-height: 1.35 }
.header-fields { display: flex; gap: 12u; text-align: right; padding-top: 11.4u; flex: 0 0 auto; max-width: 230u }
/* Padding undone by a margin: accents and the breve of Й may rise above the line without being clipped. */
.label { color: var(--label); font-weight: 600; font-size: 11.6u; letter-spacing: .035em; line-height: 1.15; text-transform: uppercase; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; padding-top: .25em; margin-top: -.25em }
.value { color: var(--foreground); font-weight: 300; line-height: 1.15; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; letter-spacing: -.005em; padding: .12em 0 .08em; margin: -.12em 0 -.08em }
:host(.measuring) :is(.value, .label) { text-overflow: clip !important }
.header-fields .value { font-size: 21.5u; line-height: 1.16; font-weight: 400; letter-spacing: -.015em; position: relative; top: -2.8u }
.row { position: absolute; left: 13u; right: 13u; display: flex; justify-content: space-between; gap: 13u }
.row .field { min-width: 0; flex: 0 1 auto }
.to-right { text-align: right } .to-center { text-align: center } .to-left { text-align: left }
.strip { position: absolute; left: 0; right: 0; top: 64u; width: 100%; height: 144u; object-fit: cover }
.primary { position: absolute; left: 13u; right: 13u; top: 82u }
.primary .value { font-size: 68u; line-height: 66u; height: 66u; padding: 0; margin: 0; letter-spacing: -.018em }
.primary .label { text-transform: none; font-weight: 400; font-size: 18.5u; letter-spacing: -.01em; line-height: 1.2 }
.on-strip .primary :is(.value, .label) { color: #fff; text-shadow: 0 1u 3u #0006 }
.secondary { top: 214u } .secondary .value { font-size: 26u }
:is(.storeCard, .coupon) .secondary .value { margin-top: 2u }

.code { position: absolute; left: 50%; bottom: 18u; transform: translateX(-50%); background: #fff; color: #000; border-radius: 5u; text-align: center; padding: 11.5u 13.5u }
.code .drawing { margin: 0 auto } .code .drawing svg { display: block; width: 100%; height: 100% }
.code.square .drawing { width: 141u; height: 141u } .code.square.small .drawing { width: 120u; height: 120u }
.code.wide { padding: 14u 15u } .code.wide .drawing { width: 262u; height: 58u }
.code .alternative { font-size: 14.6u; line-height: 1.15; padding-top: 6u; margin-bottom: -4u; max-width: 262u; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; letter-spacing: -.01em }
.voided .code .drawing { opacity: .2 }
.voided { filter: grayscale(.85) }
.footer-image { position: absolute; left: 50%; bottom: 210u; transform: translateX(-50%); max-width: 286u; max-height: 15u }

.card.coupon { border-radius: 0; mask: radial-gradient(circle at 50% 0, #0000 1.9u, #000 2.1u) 0 0 / 5.6u 51% repeat-x, radial-gradient(circle at 50% 100%, #0000 1.9u, #000 2.1u) 0 100% / 5.6u 51% repeat-x }

.card.eventTicket { mask: radial-gradient(circle 46u at 50% -29u, #0000 99%, #000) }
.backdrop { position: absolute; inset: -20u; width: calc(100% + 40u); height: calc(100% + 40u); object-fit: cover; filter: blur(14u) brightness(.8) }
:is(.eventTicket, .generic, .boardingPass) .primary .label { text-transform: uppercase; font-weight: 600; font-size: 11.6u; letter-spacing: .035em }
.eventTicket .primary { top: 68u } .eventTicket .value { font-weight: 400 }
.eventTicket .primary .value { font-size: 21.5u; letter-spacing: -.01em; line-height: 1.2; height: auto }
.eventTicket .secondary { top: 121u } .eventTicket .secondary .value { font-size: 17.4u }
.eventTicket .auxiliary { top: 174u } .eventTicket .auxiliary .value { font-size: 14.5u }
.eventTicket.on-strip .strip { height: 98u } .eventTicket.on-strip .primary { top: 78u }
.eventTicket.on-strip .primary .label { display: none } .eventTicket.on-strip .primary .value { font-size: 56u; font-weight: 300 }
.eventTicket.on-strip .secondary { top: 172u } .eventTicket.on-strip .auxiliary { top: 222u }
.thumbnail { position: absolute; right: 13u; top: 72u; width: 90u; height: 90u; object-fit: cover; border-radius: 4u }
.with-thumbnail .primary, .eventTicket.with-thumbnail .secondary { right: 116u }

.generic .primary { top: 79.4u }
.generic .primary .value { position: relative; top: 1u; font-size: 31.5u; font-weight: 400; letter-spacing: -.012em; line-height: 1.22; height: auto }
.generic .secondary { top: 184u } .generic .secondary .value { font-size: 19.6u; position: relative; top: -3.3u }
.generic .auxiliary { top: 230.1u } .generic .auxiliary .value { font-size: 17.2u; position: relative; top: -1.9u }

.card.boardingPass { mask: radial-gradient(circle 8u at 0 148u, #0000 97%, #000) 0 0 / 51% 100% no-repeat, radial-gradient(circle 8u at 100% 148u, #0000 97%, #000) 100% 0 / 51% 100% no-repeat }
.boardingPass .primary { top: 68u; display: flex; justify-content: space-between; gap: 44u }
.boardingPass .primary .field { flex: 0 1 auto; min-width: 0; max-width: 147u } .boardingPass .primary .field + .field { text-align: right }
.boardingPass .primary .value { padding: 0; font-size: 44u; line-height: 50u; height: 50u; font-weight: 300; letter-spacing: -.01em; margin-top: 2u }
.transit { position: absolute; left: 50%; top: 84u; width: 44u; height: 44u; transform: translateX(-50%); fill: var(--label); fill-rule: evenodd }
.boardingPass .auxiliary { top: 158u } .boardingPass .secondary { top: 206u }
.boardingPass :is(.auxiliary, .secondary) .value { font-size: 19u }

.card.posterGeneric { border-radius: 22u; height: 549u; background: #111 }
.poster { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover }
.shade-above { position: absolute; inset: 0 0 auto 0; height: 120u; background: linear-gradient(#0009, #0000) }
.shade-below { position: absolute; inset: auto 0 0 0; height: 330u; background: linear-gradient(#0000, #000b 62%, #000d) }
.posterGeneric .header { top: 6u } .posterGeneric .brand img { max-width: 126u; max-height: 34u }
.posterGeneric .lower { position: absolute; left: 18u; right: 18u; bottom: 46u; display: flex; flex-direction: column; gap: 10u }
.big { font-size: 33u; font-weight: 700; letter-spacing: -.02em; line-height: 1.08; text-shadow: 0 1u 8u #0006; white-space: nowrap }
.pairs { display: flex; gap: 26u } .pairs .value { font-size: 18u; font-weight: 500 }
.posterGeneric .label { text-transform: none; font-weight: 500; font-size: 12.5u; letter-spacing: 0; opacity: .85 }
.posterGeneric .code { position: static; transform: none; align-self: center; border-radius: 12u; padding: 11u; margin-top: 6u }
.footer-field { position: absolute; left: 0; right: 0; bottom: 14u; text-align: center; font-size: 12.5u; font-weight: 500; opacity: .85 }
.actions { display: flex; gap: 10u; margin-top: 12u; width: 375u }
.actions div { flex: 1; display: flex; align-items: center; gap: 9u; background: #fff; border-radius: 16u; padding: 11u 12u; font-size: 14u; font-weight: 600; color: #111; box-shadow: 0 1u 3u #0001 }
.actions i { width: 26u; height: 26u; border-radius: 50%; background: #ff9500; flex: none } .actions div + div i { background: #0a84ff }
`);
