package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// sharing says with whom the files are shared: nobody, or a group.
type sharing struct {
	mode fs.FileMode // of the file, its -wal and -shm, the lock and copies
	gid  int         // -1: as the directory gives it
	must bool        // asked for by Options.Group, so a file that can't be shared is an error
}

// prepareDir makes the file's directory where there is none (0700; 2770 for a group) and finds out how its files are
// shared: through Options.Group, or because the directory is setgid and writable to its group, as the package makes it.
func prepareDir(path, group string) (sharing, error) {
	s := sharing{mode: 0o600, gid: -1}
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return s, fmt.Errorf("sharing %s: %w", path, err)
		}
		if s.gid, err = strconv.Atoi(g.Gid); err != nil {
			return s, fmt.Errorf("sharing %s: group %s has the id %q", path, group, g.Gid)
		}
		s.mode, s.must = 0o660, true
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return s, fmt.Errorf("making the database's directory: %w", err)
		}
		if s.must {
			if err := errors.Join(os.Chown(dir, -1, s.gid), os.Chmod(dir, fs.ModeSetgid|0o770)); err != nil {
				return s, fmt.Errorf("sharing the database's directory: %w", err)
			}
		}
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("looking at the database's directory: %w", err)
	}
	if info.Mode()&fs.ModeSetgid != 0 && info.Mode().Perm()&0o070 == 0o070 {
		s.mode = 0o660
	}
	return s, nil
}

// followLinks gives the file itself where path is a symbolic link to it, there already or not. SQLite puts -wal and -shm
// beside the file, and so must the lock stand: two owners who name it differently would otherwise both have one.
func followLinks(path string) string {
	for range 40 { // as many as Linux follows
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			target = filepath.Dir(path) + string(filepath.Separator) + target // not cleaned: ".." is of where a linked directory leads
		}
		path = target
	}
	return path
}

// create makes an empty file with the right mode whatever the umask, so that SQLite, which gives -wal and -shm the
// mode of the file, never makes one that is open to more. A file that is there already is left alone: opening and
// closing it would take away the locks that this process may hold on it.
func (s sharing) create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, s.mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(s.mode), f.Close())
}

// share gives the group what it needs of the files that are there: SQLite asks for write permission on -wal and -shm
// even for reading.
func (s sharing) share(paths ...string) error {
	if s.mode&0o060 == 0 {
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o060 != 0o060 {
			err = os.Chmod(path, info.Mode().Perm()|0o060)
		}
		if err == nil && s.gid >= 0 && int(info.Sys().(*syscall.Stat_t).Gid) != s.gid {
			err = os.Chown(path, -1, s.gid)
		}
		if err != nil && s.must {
			return fmt.Errorf("sharing the database with its group: %w", err)
		}
	}
	return nil
}

// syncFile makes a finished copy durable: its bytes, then its name.
func syncFile(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
