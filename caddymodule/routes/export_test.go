package routes

// RefusePanics is what every record is read by.
var RefusePanics = refusePanics
