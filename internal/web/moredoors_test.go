package web_test

func moreListings() []*listing { return nil }

func moreItems() []*item { return nil }
