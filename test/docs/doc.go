// Package docs holds the documentation against the code: tables, links, messages.
package docs
