// Package questions holds what analysts ask most, each as a file of SQL with its answer over a sample of known rows,
// and the sample. A new question is a new file in sql; `KASI_GOLDEN=write go test ./sinks/clickhouse/questions` writes
// its answer, and `make generate` takes it into schemas/DICTIONARY.md.
package questions

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed sql/*.sql sample/*.sql
var files embed.FS

// Question is one file of SQL.
type Question struct {
	// Name is the file's name without its ending, Text the question in a sentence.
	Name, Text string
	// SQL is the query, Answer the lines of CSV that it gives over the sample of SampleSize policies.
	SQL, Answer string
}

// SampleSize is how many policies the sample has that the answers are of.
const SampleSize = 2000

// answerMark stands between a file's query and its answer.
const answerMark = "-- answer:\n"

// All are the questions in the order of their files.
func All() []Question {
	paths, _ := fs.Glob(files, "sql/*.sql") // the pattern is right
	all := make([]Question, len(paths))
	for i, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "sql/"), ".sql")
		text, sql, _ := strings.Cut(read(path), "\n")
		sql, answer, _ := strings.Cut(sql, answerMark)
		all[i] = Question{
			name, strings.TrimPrefix(text, "-- "), strings.TrimSuffix(strings.TrimSpace(sql), ";"),
			strings.ReplaceAll(strings.TrimPrefix(answer, "-- "), "\n-- ", "\n"),
		}
	}
	return all
}

// File is the question's file with an answer.
func (q Question) File(answer string) string {
	answer = strings.TrimSuffix(answer, "\n")
	return "-- " + q.Text + "\n" + q.SQL + ";\n" + answerMark + "-- " + strings.ReplaceAll(answer, "\n", "\n-- ") + "\n"
}

// sampleMonths are the months of the sample.
var sampleMonths = [...]string{"2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11"}

// Sample are the statements that fill the tables of events with six months of so many policies. Whoever runs them makes
// the states of them afterwards (schemas.States).
func Sample(policies int) (statements []string) {
	n := fmt.Sprint(policies)
	statements = split(read("sample/policies.sql"), "{N}", n)
	for i, month := range sampleMonths {
		statements = append(statements, split(read("sample/month.sql"), "{N}", n, "{M}", fmt.Sprint(i), "{P}", month, "{D}",
			month+"-01")...)
	}
	return statements
}

func split(text string, replace ...string) (statements []string) {
	_, text, _ = strings.Cut(text, "\n\n") // behind the head
	for s := range strings.SplitSeq(strings.NewReplacer(replace...).Replace(text), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	return statements
}

func read(path string) string {
	b, _ := files.ReadFile(path) // it is embedded
	return string(b)
}
