package audittest

import "strings"

// maxText is audit.MaxExactText, which this package can't import.
const maxText = 256

// OddTexts are texts that clients may have written into an event, and that
// mean something else in a filter, an address, a page, a resource or SQL. None
// is longer than a filter's value may be.
func OddTexts() []string {
	longest := func(unit, end string) string {
		return strings.Repeat(unit, maxText-len([]rune(end))) + end
	}
	const cut = "~0123456789abcdef0123456789abcdef"
	return []string{
		"a", "*", "**", "a*", "*a", "a*b", "*.exec", "*/exec", "pods/exec", "pods/*", "deployments", "deployments/scale",
		"=", "==", "=a", "=a*", "==a", "=*", "-", "=-", "--", "-a",
		" ", " a ", "a b", "a\tb", "a\nb", `CORP\alice`, `\`, `\*`, "%", "_", "a%b", "%2A", "'", "''", `"`, "`", ";--",
		"<b>&amp;</b>", "a&b=c#d?e+f", "+", "?", "#", "a,b", "/", "a/b", "~", cut,
		"null", "true", "0x1F", "1e3", "- a", ": ", "&x", "!t", "@u", "{a}", "[b]", "|", ">",
		"größe", "ИМЯ", "ΣΊΣΥΦΟΣ", "🙂", "\u202eevil", "\u2028", "e\u0301", "Shop", "shop.x",
		longest("x", ""), longest("ü", "*"), longest("*", ""), longest("=", ""), longest("-", "="),
		longest("x", cut), longest("🙂", cut), longest("*", cut),
	}
}
