"""DAgger (Ross et al. 2011) as a strategy of Townlet."""
