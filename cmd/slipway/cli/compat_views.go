package cli

import (
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	display "github.com/cli/go-gh/v2/pkg/text"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// compatTable prints a table as the App Store does, on a terminal and
// elsewhere: columns of the widest value and a space, uncut, without colours.
// least are the widths that columns have at least.
func compatTable(w io.Writer, header []string, least []int, rows [][]cell) error {
	lines := append([][]cell{cells(header...)}, rows...)
	widths := make([]int, len(header))
	copy(widths, least)
	for _, line := range lines {
		for i := range line {
			line[i].text = oneLine(line[i].text)
			widths[i] = max(widths[i], display.DisplayWidth(line[i].text))
		}
	}
	var out strings.Builder
	for _, line := range lines {
		padded := ""
		for i, c := range line {
			padded += c.text + strings.Repeat(" ", widths[i]-display.DisplayWidth(c.text)+1)
		}
		out.WriteString(strings.TrimRight(padded, " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// column is one of the App Store's table of apps, with the width that it has
// in the developer guides.
type column struct {
	name  string
	least int
	of    func(p *program, a *v1.App) string
}

var (
	idColumn    = func(least int) column { return column{"ID", least, func(_ *program, a *v1.App) string { return a.ID }} }
	titleColumn = func(least int) column {
		return column{"TITLE", least, func(_ *program, a *v1.App) string { return a.Title + " " + a.Version }}
	}
	ownerColumn   = column{"OWNER", 16, func(_ *program, a *v1.App) string { return a.Owner }}
	createdColumn = column{"CREATED", 7, func(p *program, a *v1.App) string { return p.age(a.CreatedAt) }}
	updatedColumn = column{"UPDATED", 7, func(p *program, a *v1.App) string { return p.age(a.UpdatedAt) }}
	category      = column{"CATEGORY", 13, func(_ *program, a *v1.App) string { return categoryOf(a) }}
	visibilities  = column{"VISIBILITY", 13, func(_ *program, a *v1.App) string { return a.Visibility }}
	tagsColumn    = column{"TAGS", 0, func(_ *program, a *v1.App) string { return strings.Join(tagsBeside(a), ", ") }}
)

var compatColumns = map[dialect][]column{
	h2oDialect: {idColumn(37), titleColumn(28), ownerColumn, createdColumn, category, visibilities, tagsColumn},
	q8sDialect: {idColumn(36), titleColumn(30), ownerColumn, createdColumn, updatedColumn, category, visibilities},
}

// wideColumns follow with -o wide.
var wideColumns = []column{
	{"NAME", 0, func(_ *program, a *v1.App) string { return a.Name }},
	{"LIFECYCLE", 0, func(_ *program, a *v1.App) string { return a.Lifecycle }},
	{"MODE", 0, func(_ *program, a *v1.App) string { return a.AppMode }},
	{"ROUTING", 0, func(_ *program, a *v1.App) string { return a.RoutingMode }},
	{"RUNNABLE", 0, func(_ *program, a *v1.App) string { return strconv.FormatBool(a.Runnable) }},
}

// preconditionColumn is there with --precondition: what an app waits for.
var preconditionColumn = column{"PRECONDITION", 0, func(_ *program, a *v1.App) string {
	if len(a.Reasons) == 0 {
		return "OK"
	}
	var codes []string
	for _, r := range a.Reasons {
		codes = append(codes, r.Code)
	}
	return strings.Join(codes, ", ")
}}

func (p *program) compatAppTable(w io.Writer, list []appRow, wide bool) error {
	columns := slices.Clone(compatColumns[p.dialect()])
	if wide {
		columns = append(columns, wideColumns...)
	}
	if p.compat.preconditions {
		columns = append(columns, preconditionColumn)
	}
	var header []string
	var least []int
	for _, c := range columns {
		header, least = append(header, c.name), append(least, c.least)
	}
	var rows [][]cell
	for i := range list {
		row := make([]cell, len(columns))
		for n, c := range columns {
			row[n].text = c.of(p, &list[i].Item)
		}
		rows = append(rows, row)
	}
	return compatTable(w, header, least, rows)
}

// categories are the App Store's older categories, by the tags that they have
// become (spec apps.md §2).
var categories = map[string]string{
	"DATA_SCIENCE": "Data Science", "FINSERV": "Financial Services", "HEALTHCARE": "Healthcare", "INSURANCE": "Insurance",
	"MANUFACTURING": "Manufacturing", "MARKETING": "Marketing", "RETAIL": "Retail", "SALES": "Sales", "TELECOM": "Telecommunications",
}

// categoryOf is an app's category: that of its manifest, or else of its tags.
// What has none is in "Other".
func categoryOf(a *v1.App) string {
	if a.Category != nil {
		return *a.Category
	}
	for _, tag := range slices.Concat(a.Categories, a.Tags) {
		if name, known := categories[tag]; known {
			return name
		}
	}
	if len(a.Categories) > 0 {
		return a.Categories[0]
	}
	return "Other"
}

// tagsBeside are the tags of an app that say something else than its category.
func tagsBeside(a *v1.App) []string {
	name := categoryOf(a)
	return slices.DeleteFunc(slices.Clone(a.Tags), func(tag string) bool { return tag == name || strings.EqualFold(categories[tag], name) })
}

// compatAppFields is the block of an app.
func (p *program) compatAppFields(a *v1.App) []field {
	fields := []field{
		{"ID", a.ID},
		{"Title", a.Title},
		{"Version", a.Version},
		{"Category", categoryOf(a)},
		{"Created At", a.CreatedAt.UTC().String()},
		{"Updated At", a.UpdatedAt.UTC().String()},
		{"Owner", a.Owner},
		{"Visibility", a.Visibility},
	}
	description := field{"Description", a.Description}
	if p.dialect() == h2oDialect {
		return append(fields, description, field{"Tags", strings.Join(tagsBeside(a), ", ")})
	}
	folder, icon := a.Name+"."+a.Version, ""
	if p.compat.icon != "" {
		icon = folder + "/" + p.compat.icon
	}
	return append(fields, field{"Bundle Location", folder + ".qz"}, field{"Icon Location", icon}, description)
}

// instanceFields are what the App Store prints of an instance; slipway has more.
func (p *program) instanceFields(in *v1.Instance) []field {
	return []field{
		{"ID", in.ID},
		{"App", in.AppName + " " + in.AppVersion},
		{"App ID", in.AppID},
		{"Created At", stamp(&in.CreatedAt)},
		{"Updated At", stamp(&in.UpdatedAt)},
		{"Status", in.Status},
		{"Visibility", in.Visibility},
		{"URL", p.shownURL(in.URL)},
		{"Owner", in.Owner},
		{"Readonly", strconv.FormatBool(in.Readonly)},
		{"Suspendable", strconv.FormatBool(in.Suspendable)},
		{"Suspend After", stamp(in.SuspendAfter)},
	}
}

// changedView is an instance after suspend or resume, where the App Store leaves
// the app's name out.
func (p *program) changedView(in *v1.Instance) view {
	v := p.instanceView(in)
	full := v.text
	v.text = func(w io.Writer, wide bool) error {
		if !p.compatible() || wide {
			return full(w, wide)
		}
		fields := p.instanceFields(in)
		fields[1].value = ""
		return block(w, 0, fields)
	}
	return v
}

// compatWaiting lets a command wait for its end unless it is told not to: the
// App Store's prints what an instance has become.
func (p *program) compatWaiting(c *cobra.Command) *cobra.Command {
	if p.compatible() {
		wait := c.Flags().Lookup("wait")
		_ = wait.Value.Set("true") // a flag of that kind takes it
		wait.DefValue, wait.Usage = "true", strings.Replace(wait.Usage, " (the default on a terminal)", "", 1)
	}
	return c
}

// aliasFields are what the App Store prints of an alias; slipway has more.
func aliasFields(a *v1.Alias) []field {
	return []field{
		{"ID", a.ID},
		{"Alias", a.Name},
		{"Instance ID", instanceOf(a)},
		{"Primary", strconv.FormatBool(a.Primary)},
		{"Created At", a.CreatedAt.UTC().String()},
		{"Updated At", a.UpdatedAt.UTC().String()},
	}
}

// assignedView is the block after assign, where no instance is printed as none.
func (p *program) assignedView(a *v1.Alias) view {
	v := p.aliasView(a)
	full := v.text
	v.text = func(w io.Writer, wide bool) error {
		if !p.compatible() || wide {
			return full(w, wide)
		}
		fields := aliasFields(a)
		if fields[2].value == uuid.Nil.String() {
			fields[2].value = ""
		}
		return block(w, 0, fields)
	}
	return v
}

// shownURL is the URL of an instance as the App Store prints it: a host without
// a slash behind it.
func (p *program) shownURL(s string) string {
	if u, err := url.Parse(s); p.compatible() && err == nil && u.Path == "/" && u.RawQuery == "" {
		return strings.TrimSuffix(s, "/")
	}
	return s
}
