// Package journeys tests what people do at the pages, in a real browser: each
// feature as it is used, every page in both themes and at every width, with and
// without scripts, and with texts that mean harm. docs/testing.md says which
// test shows which feature.
package journeys
