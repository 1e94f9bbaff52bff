package browsertest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

var (
	runs  = regexp.MustCompile(`^on|^(data-)?hx-on|^style$|^srcdoc$|^data-pwned`)
	leads = regexp.MustCompile(`^(href|src|action|formaction|poster|(data-)?hx-(get|post|put|delete|patch)|xlink:href)$`)
	// never are elements that no template has, and bodied those that none has
	// in its body.
	never  = []string{"iframe", "object", "embed", "base", "plaintext", "math", "foreignobject"}
	bodied = []string{"style", "link", "meta", "script", "title"}
)

// Injected returns the elements of a page that a text of Hostile made, as a
// browser would read it: those that no template writes, attributes that run,
// and links that leave.
func Injected(page string) []string {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return []string{err.Error()}
	}
	var bad []string
	var visit func(n *html.Node, inBody bool)
	visit = func(n *html.Node, inBody bool) {
		if n.Type == html.ElementNode {
			name := strings.ToLower(n.Data)
			if slices.Contains(never, name) || inBody && n.Namespace == "" && slices.Contains(bodied, name) {
				bad = append(bad, "<"+name+">")
			}
			for _, a := range n.Attr {
				if runs.MatchString(a.Key) || leads.MatchString(a.Key) && !stays(a.Val) {
					bad = append(bad, "<"+name+" "+a.Key+"="+a.Val+">")
				}
			}
			inBody = inBody || name == "body"
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c, inBody)
		}
	}
	visit(root, false)
	return bad
}

// stays reports whether a link leads to the site that it stands on. Browsers
// take a backslash for a slash, and leave out tabs and ends of lines.
func stays(link string) bool {
	link = strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(link))
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "" && u.Host == "" && !strings.HasPrefix(link, "//")
}
