package access

import (
	"strings"
	"testing"
)

// askTable asks every cell of a table at every edge. Its first line names the
// columns, the others begin with what is asked. In the cells: ✓ it is done,
// login, 403, 404; an empty cell is not asked.
func (w *world) askTable(t *testing.T, table string, ask func(t *testing.T, e *edge, p *person, row []string) string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(table), "\n")
	columns := cellsOf(lines[0])
	for _, e := range w.edges {
		t.Run(e.name, func(t *testing.T) {
			for _, line := range lines[1:] {
				cells := cellsOf(line)
				if len(cells) != len(columns) {
					t.Fatalf("the row %q has %d cells of %d", line, len(cells), len(columns))
				}
				for i, want := range cells {
					if i == 0 || want == "" {
						continue
					}
					t.Run(cells[0]+"/"+columns[i], func(t *testing.T) {
						if got := ask(t, e, w.column(t, columns[i]), strings.Fields(cells[0])); got != want {
							t.Errorf("%s, want %s", got, want)
						}
					})
				}
			}
		})
	}
}

func cellsOf(line string) []string {
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// columns are who stands at the heads of the tables. Owners are visitors, so
// that they have nothing but what they own.
var columns = map[string]string{
	"anonymous": "", "tag visitor": "vera", "visitor": "victor", "full": "fiona", "admin": "ann",
	"owner": "otto", "app owner": "otto", "instance owner": "olga", "tag admin": "tara", "full tag admin": "tom",
}

func (w *world) column(t *testing.T, name string) *person {
	t.Helper()
	p, ok := columns[name]
	if !ok {
		t.Fatalf("nobody is %q", name)
	}
	return w.people[p]
}
