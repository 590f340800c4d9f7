package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Kubernetes tells every pod of every service: a service "kasi" as KASI_SERVICE_HOST, KASI_PORT_8080_TCP_ADDR and so
// on.
var ofKubernetes = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$`)

// CheckEnv refuses variables KASI_... that nothing reads, all at once, each with the nearest name that is read: one
// that is misspelt would be ignored in silence. environ is os.Environ; flags are those of single commands. Variables of
// tests (KASI_TEST_...) and those that Kubernetes makes of services are left alone.
func CheckEnv(environ []string, flags ...string) error {
	names := []string{"KASI_CONFIG", "KASI_LIBCHDB", "KASI_CLICKHOUSE_CHILD"}
	know := func(key string) { names = append(names, variable(key)) }
	new(Config).options().VisitAll(func(o *pflag.Flag) { know(o.Name) })
	for _, key := range flags {
		know(key)
	}
	var errs []error
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "KASI_") || strings.HasPrefix(name, "KASI_TEST_") || ofKubernetes.MatchString(name) ||
			slices.Contains(names, name) {
			continue
		}
		nearest := slices.MinFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
		errs = append(errs, fmt.Errorf("%s: nothing reads this variable; did you mean %s? unset it otherwise", name, nearest))
	}
	return errors.Join(errs...)
}

// distance is Levenshtein's: how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}
