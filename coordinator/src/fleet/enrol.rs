//! How machines join and leave the fleet.
