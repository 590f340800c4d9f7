package bugs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// bug is one entry of the list: a plausible mistake, and the test that must fail because of it.
type bug struct {
	// Name is its own, in lower case with hyphens.
	Name string `yaml:"name"`
	// Harm says in one line what the mistake would do to the money.
	Harm string `yaml:"harm"`
	edit `yaml:",inline"`
	// Also holds further edits, for a mistake of more than one place.
	Also []edit `yaml:"also"`
	// Package is the package whose test must fail, such as ./streams.
	Package string `yaml:"package"`
	// Run is the -run expression of that test, as narrow as can be.
	Run string `yaml:"run"`
	// Fails is a regular expression that the output of the failing test must match, for tests that could fail for another
	// reason too.
	Fails string `yaml:"fails"`
	// Timeout bounds the test; 0 means defaultTimeout.
	Timeout time.Duration `yaml:"timeout"`
	// Hangs tells that the bug shows as a test that does not end within Timeout.
	Hangs bool `yaml:"hangs"`
	// Args are further arguments of the test binary.
	Args []string `yaml:"args"`
	// Quick bugs are also run by this program's own test, so that `make test` sees them caught.
	Quick bool `yaml:"quick"`
}

// edit replaces a text that must be in the file exactly once.
type edit struct {
	File string `yaml:"file"`
	Old  string `yaml:"old"`
	New  string `yaml:"new"`
}

const defaultTimeout = time.Minute

func (b *bug) edits() []edit { return append([]edit{b.edit}, b.Also...) }

// loadBugs reads the list and reports all its mistakes at once.
func loadBugs(file string) ([]bug, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("list of bugs: %w", err)
	}
	var bugs []bug
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&bugs); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	seen := map[string]bool{}
	for i := range bugs {
		b := &bugs[i]
		if b.Timeout == 0 {
			b.Timeout = defaultTimeout
		}
		if err := b.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: bug %d %q: %w", file, i+1, b.Name, err))
		}
		if seen[b.Name] {
			errs = append(errs, fmt.Errorf("%s: bug %d: there is another one of the name %q", file, i+1, b.Name))
		}
		seen[b.Name] = true
	}
	return bugs, errors.Join(errs...)
}

var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (b *bug) check() error {
	var errs []error
	if !nameForm.MatchString(b.Name) {
		errs = append(errs, errors.New("name is not in lower case with hyphens, such as result-applied-twice"))
	}
	for field, value := range map[string]string{"harm": b.Harm, "package": b.Package, "run": b.Run} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", field))
		}
	}
	for _, e := range b.edits() {
		if e.File == "" || e.Old == "" || e.Old == e.New {
			errs = append(errs, errors.New("an edit needs a file, an old text and another new text"))
		}
	}
	if _, err := regexp.Compile(b.Fails); err != nil {
		errs = append(errs, fmt.Errorf("fails: %w", err))
	}
	return errors.Join(errs...)
}

// choose keeps the bugs whose names match one of the patterns; no pattern keeps all. A pattern that matches nothing is
// an error.
func choose(bugs []bug, patterns []string) ([]bug, error) {
	if len(patterns) == 0 {
		return bugs, nil
	}
	used := make([]bool, len(patterns))
	var chosen []bug
	for _, b := range bugs {
		keep := false
		for i, p := range patterns {
			ok, err := path.Match(p, b.Name)
			if err != nil {
				return nil, fmt.Errorf("--only %q: %w", p, err)
			}
			used[i], keep = used[i] || ok, keep || ok
		}
		if keep {
			chosen = append(chosen, b)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		var names []string
		for _, b := range bugs {
			names = append(names, b.Name)
		}
		return nil, fmt.Errorf("--only %q names no bug of the list; there are %s", patterns[i], strings.Join(names, ", "))
	}
	return chosen, nil
}
