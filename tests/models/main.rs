//! Models of protocols, checked state by state.

mod leases;
