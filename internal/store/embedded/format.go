package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// formatVersion is the version of the directory's layout, its tables and its
// segments. It grows when an older version could misread what a newer one wrote.
const formatVersion = 4

// formatFile says what the directory holds, restoringFile that it holds half
// of it.
const (
	formatFile    = "store.json"
	restoringFile = "restoring"
)

// format is the content of formatFile.
type format struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of the product that last opened the store
}

// readFormat returns what a directory says about itself, or refuses it. A
// directory that says nothing is new, or of before there was a formatFile.
func readFormat(dir string) (format, error) {
	if _, err := os.Lstat(filepath.Join(dir, restoringFile)); err == nil {
		return format{}, fmt.Errorf("the restore into %s did not finish: run manager restore again, which starts over", dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return format{}, err
	}
	path := filepath.Join(dir, formatFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return format{}, nil
	}
	if err != nil {
		return format{}, err
	}
	var f format
	if err := json.Unmarshal(data, &f); err != nil || f.Format < 1 {
		return format{}, fmt.Errorf("%s is damaged: it must hold the store's format, like {\"format\":%d}", path, formatVersion)
	}
	return f, checkFormat("the store in "+dir, f)
}

// checkFormat refuses what a newer version of the product wrote.
func checkFormat(what string, f format) error {
	if f.Format > formatVersion {
		return fmt.Errorf("%s has format %d, written by version %s; this version reads formats up to %d: use version %[3]s or newer, or restore a backup that this version made into an empty directory",
			what, f.Format, orUnknown(f.Version), formatVersion)
	}
	return nil
}

// explainDowngrade adds to a failure to open the database that an older
// version may not be able to read what a newer one wrote.
func explainDowngrade(err error, f format, version string) error {
	if f.Version == "" || f.Version == version {
		return err
	}
	return fmt.Errorf("%w (the store was last opened by version %s and this is %s; an older version may not read what a newer one wrote: use %[2]s, or restore a backup that this version made into an empty directory)",
		err, f.Version, orUnknown(version))
}

func orUnknown(version string) string {
	if version == "" {
		return "(unknown)"
	}
	return version
}

// writeFormat makes formatFile say that this version has opened the store.
func writeFormat(dir string, was format, version string) error {
	now := format{Format: formatVersion, Version: version}
	if was == now {
		return nil
	}
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, formatFile)
	if err := writeSynced(path+".tmp", append(data, '\n')); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".tmp", path), syncDir(dir))
}

// writeSynced writes a file whose content is durable; its name may not be.
func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}
