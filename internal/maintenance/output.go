package maintenance

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// WriteFile makes a file that appears under its name only once write has
// returned and the content is durable. It replaces one that is there.
func WriteFile(path string, write func(io.Writer) error) error {
	dir, name := filepath.Split(path)
	file, err := os.CreateTemp(dir, "."+name+"-*.partial")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // which is gone once it has its own
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
