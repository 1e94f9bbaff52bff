package redact

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// shape is how tokens of one kind begin, and how long they are at least after
// that.
type shape struct {
	prefix string
	least  int
}

// tokenShapes are prefixes by which issuers make their tokens known;
// docs/adr/0025 says why they are no library's.
var tokenShapes = []shape{
	{"ghp_", 30}, {"gho_", 30}, {"ghu_", 30}, {"ghs_", 30}, {"ghr_", 30}, {"github_pat_", 22}, // GitHub
	{"glpat-", 16}, {"gldt-", 16}, {"glrt-", 16}, {"glcbt-", 16}, {"glptt-", 16}, {"glft-", 16}, {"glimt-", 16}, {"glagent-", 16}, {"gloas-", 16}, {"glsoat-", 16}, // GitLab
	{"xoxb-", 10}, {"xoxp-", 10}, {"xoxa-", 10}, {"xoxr-", 10}, {"xoxs-", 10}, {"xoxe-", 10}, {"xoxe.", 10}, {"xapp-", 10}, // Slack
	{"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"rk_test_", 10}, {"whsec_", 10}, // Stripe
	{"sk-ant-", 16}, {"sk-proj-", 16}, {"sk-svcacct-", 16}, {"sk-or-v1-", 16}, {"sk-", 40}, {"hf_", 30}, {"gsk_", 30}, {"r8_", 30}, {"pplx-", 30}, {"xai-", 30},
	{"AIza", 30}, {"ya29.", 20}, {"GOCSPX-", 20}, // Google
	{"hvs.", 20}, {"hvb.", 20}, {"hvr.", 20}, // Vault
	{"npm_", 30}, {"pypi-", 30}, {"rubygems_", 30}, {"dckr_pat_", 20}, {"dckr_oat_", 20}, {"NRAK-", 20}, {"NRJS-", 15},
	{"dop_v1_", 30}, {"doo_v1_", 30}, {"dor_v1_", 30}, {"SG.", 30}, {"shpat_", 20}, {"shpss_", 20}, {"shpca_", 20}, {"shppa_", 20},
	{"sha256~", 20}, // OpenShift
	{"AGE-SECRET-KEY-", 20}, {"glsa_", 20}, {"glc_", 30}, {"lin_api_", 20}, {"dp.pt.", 20}, {"dp.st.", 20}, {"pul-", 30}, {"tfp_", 30}, {"figd_", 20}, {"ATATT3", 20}, {"ATCTT3", 20}, {"ATBB", 28},
	{"PMAK-", 20}, {"rdme_", 30}, {"sgp_", 30}, {"dapi", 30}, {"dt0c01.", 30}, {"EAACEdEose0cBA", 10}, {"EZAK", 40}, {"EZTK", 40}, {"eyJrIjoi", 20}, {"nfp_", 30}, {"sntrys_", 30}, {"sntryu_", 30},
	{"tskey-", 20}, {"CFPAT-", 30}, {"vcp_", 20}, {"cio_", 20}, {"ntn_", 30}, {"secret_", 40}, {"key-", 32}, {"phx_", 30},
	{"hooks.slack.com/services/", 20}, {"discord.com/api/webhooks/", 20}, {"discordapp.com/api/webhooks/", 20}, {"webhook.office.com/webhookb2/", 20}, {"outlook.office.com/webhook/", 20}, {"IncomingWebhook/", 20},
	{"$2a$", 20}, {"$2b$", 20}, {"$2y$", 20}, {"$5$", 20}, {"$6$", 20}, {"$1$", 20}, {"$apr1$", 20}, {"$y$", 20}, {"$argon2", 20}, {"$pbkdf2", 20}, {"$scrypt$", 20}, {"$7$", 20}, {"SSHA}", 20}, {"SHA}", 20}, {"pbkdf2_sha", 20}, // hashes of passwords
}

// words are what commands and headers are known by, in lower case; programs
// are there too.
var words = []string{"bearer", "basic", "identified", "password", "passwd", "requirepass", "masterauth", "pass", "passphrase", "pwd", "echo", "printf"}

// shapesFrom has the shapes by their first byte.
var shapesFrom = func() (from [256][]shape) {
	for _, s := range tokenShapes {
		from[s.prefix[0]] = append(from[s.prefix[0]], s)
	}
	return from
}()

// begins reports whether a token, a word or a program that matters begins here.
func begins(text []byte) bool {
	if tokenLength(text) > 0 || len(text) > 3 && string(text[:3]) == "eyJ" {
		return true
	}
	end := 0
	for end < len(text) && end <= maxWord && (class[text[end]]&isWord != 0 || text[end] == '-' || text[end] == '.') {
		end++
	}
	if end < 2 || end == len(text) {
		return false // nothing follows it
	}
	switch text[end] {
	case ':', '/', '=', '@', '%', '+':
		return false // it is a part of a longer word
	}
	return isTelling(text[:end])
}

// maxWord is longer than each word and program that matters.
const maxWord = 32

// isTelling reports whether a word says something about what follows.
func isTelling(word []byte) bool {
	if len(word) > 0 && word[0] < 0x80 {
		for _, w := range tellingFrom[word[0]|0x20] {
			if len(word) == len(w) && bytes.EqualFold(word, bytesOf(w)) {
				return true
			}
		}
	}
	return false
}

// tellingFrom has the words and the programs by their first byte.
var tellingFrom = func() (from [256][]string) {
	for _, w := range words {
		from[w[0]] = append(from[w[0]], w)
	}
	for name := range programs {
		from[name[0]|0x20] = append(from[name[0]|0x20], name)
	}
	return from
}()

// tokenLength is how long the token is that begins here; 0 where there is none.
func tokenLength(text []byte) int {
	for _, s := range shapesFrom[text[0]] {
		if len(text) < len(s.prefix)+s.least || string(text[:len(s.prefix)]) != s.prefix {
			continue
		}
		n := len(s.prefix)
		for n < len(text) && isTokenByte(text[n]) {
			n++
		}
		if n >= len(s.prefix)+s.least && hasDigit(text[len(s.prefix):n]) {
			return n
		}
	}
	return 0
}

func isTokenByte(c byte) bool {
	return class[c]&(isEncoded|isWord) != 0 || c == '=' || c == '.' || c == '~' || c == '$'
}

func hasDigit(text []byte) bool {
	for _, c := range text {
		if '0' <= c && c <= '9' {
			return true
		}
	}
	return false
}

// jwtLength is how long the JSON Web Token is that begins here: three parts of
// Base64, or two; 0 where there is none.
func jwtLength(text []byte) int {
	n, dots := 0, 0
	for n < len(text) && (class[text[n]]&isWord != 0 || text[n] == '-' || text[n] == '.' || text[n] == '=') {
		if text[n] == '.' {
			dots++
		}
		n++
	}
	if dots == 0 || n < 20 {
		return 0
	}
	return n
}

// sextets are the values of the letters of Base64, of both alphabets; none has
// the highest bit.
var sextets = func() (values [256]uint8) {
	for i := range values {
		values[i] = 0x80
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i := range len(letters) {
		values[letters[i]] = uint8(i)
	}
	values['+'], values['-'], values['/'], values['_'] = 62, 62, 63, 63
	return values
}()

// isEncodedText reports whether the first 16 bytes of Base64 decode to text.
func isEncodedText(head []byte) bool {
	var out [12]byte
	for i, o := 0, 0; i < 16; i, o = i+4, o+3 {
		a, b, c, d := sextets[head[i]], sextets[head[i+1]], sextets[head[i+2]], sextets[head[i+3]]
		if (a|b|c|d)&0x80 != 0 {
			return false
		}
		out[o], out[o+1], out[o+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		if !isPrintable(out[o:o+3]) && out[o] < utf8.RuneSelf && out[o+1] < utf8.RuneSelf && out[o+2] < utf8.RuneSelf {
			return false
		}
	}
	return isPrintable(out[:])
}

// isPrintable reports whether bytes are text; the last character may be cut.
func isPrintable(text []byte) bool {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return !utf8.FullRune(text[i:])
		}
		i += size
	}
	return true
}

// decoded returns the text that a run of Base64 stands for.
func decoded(run []byte) (text []byte, ok bool) {
	run = bytes.TrimRight(run, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		encoding = base64.RawURLEncoding
	}
	if len(run)%4 == 1 {
		run = run[:len(run)-1]
	}
	text = make([]byte, encoding.DecodedLen(len(run)))
	n, err := encoding.Decode(text, run)
	return text[:n], err == nil && isPrintable(text[:n])
}
