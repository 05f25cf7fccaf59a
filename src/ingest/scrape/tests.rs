//! Claims about scraping, with a virtual clock, a scripted network and a recording store.
