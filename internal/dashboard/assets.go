package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
}

var assetKinds = map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

func (d *dashboard) loadAssets() error {
	entries, err := files.ReadDir("assets")
	if err != nil {
		return err
	}
	d.assets = map[string]asset{}
	for _, entry := range entries {
		content, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			return err
		}
		extension := path.Ext(entry.Name())
		if assetKinds[extension] == "" {
			return fmt.Errorf("asset %s: no content type is known for %s", entry.Name(), extension)
		}
		sum := sha256.Sum256(content)
		hashed := strings.TrimSuffix(entry.Name(), extension) + "." + hex.EncodeToString(sum[:6]) + extension
		d.assets[hashed] = asset{name: entry.Name(), kind: assetKinds[extension], content: content}
	}
	return nil
}

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
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.content) // the browser is gone
}
