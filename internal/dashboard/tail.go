package dashboard

// liveParameter of the list turns the live tail on.
const liveParameter = "live"
