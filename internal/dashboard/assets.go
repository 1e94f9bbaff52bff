package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// An asset's name holds a hash of its content, so that browsers may keep it
// for ever and still see a new one at once.
type asset struct {
	name    string
	kind    string
	content []byte
	zipped  []byte // the content by gzip
}

// bundles are the assets and the files that each is made of, in their order.
var bundles = map[string]string{
	"icon.svg":  "assets/icon.svg",
	"style.css": "assets/css/*.css",
	"theme.js":  "assets/first/theme.js",
	"htmx.js":   "assets/vendor/htmx.min.js",
	"app.js":    "assets/js/*.js",
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func (d *dashboard) loadAssets() error {
	d.assets = map[string]asset{}
	for name, pattern := range bundles {
		parts, err := fs.Glob(files, pattern)
		if err != nil || len(parts) == 0 {
			return fmt.Errorf("asset %s: no file is %s (%w)", name, pattern, err)
		}
		var content bytes.Buffer
		for _, part := range parts {
			b, err := files.ReadFile(part)
			if err != nil {
				return err
			}
			content.Write(b)
		}
		a := asset{name: name, kind: assetKinds[path.Ext(name)], content: content.Bytes()}
		if a.zipped, err = zip(a.content); err != nil {
			return err
		}
		sum := sha256.Sum256(a.content)
		extension := path.Ext(name)
		d.assets[strings.TrimSuffix(name, extension)+"."+hex.EncodeToString(sum[:6])+extension] = a
	}
	return nil
}

func zip(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// assetPath returns the address of an asset.
func (d *dashboard) assetPath(name string) string {
	for hashed, a := range d.assets {
		if a.name == name {
			return "/assets/" + hashed
		}
	}
	return ""
}

func (d *dashboard) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := d.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.kind)
	content := a.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content = a.zipped
	}
	_, _ = w.Write(content) // the browser is gone
}
