"""Reports: what managers ask for every month, as tables that a spreadsheet opens."""
