package procgroup

import (
	"reflect"
	"strings"
	"testing"
)

var someone = Identity{
	Boot: Digest("boot"), PID: 4242, Start: 987654, Mark: Digest("mark"), Sockets: []uint64{77, 78},
}

func TestAnIdentityIsReadAsItWasWritten(t *testing.T) {
	none := someone
	none.Sockets = nil
	many := someone
	many.Sockets = []uint64{1, 2, 3, 4, 5}
	for _, c := range []struct {
		name     string
		in, want Identity
	}{{"with sockets", someone, someone}, {"without", none, none}, {"with too many sockets", many, none}} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := Parse(c.in.String()); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestParseRefusesWhatNamesNobody(t *testing.T) {
	good := someone.String()
	for name, text := range map[string]string{
		"empty":            "",
		"another kind":     strings.Replace(good, "process", "pod", 1),
		"cut off":          good[:strings.LastIndexByte(good, ':')],
		"a field too many": good + ":x",
		"no boot":          strings.Replace(good, someone.Boot, "", 1),
		"no mark":          strings.Replace(good, someone.Mark, "", 1),
		"number 0":         strings.Replace(good, "4242", "0", 1),
		"negative number":  strings.Replace(good, "4242", "-4242", 1),
		"no number":        strings.Replace(good, "4242", "x", 1),
		"no start":         strings.Replace(good, "987654", "", 1),
		"socket 0":         strings.Replace(good, "77", "0", 1),
		"no socket":        strings.Replace(good, "77", "", 1),
		"too many sockets": good + ",1,2,3",
		"negative socket":  strings.Replace(good, "77", "-77", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if i, err := Parse(text); err == nil || !strings.Contains(err.Error(), "read endpoint identity") {
				t.Errorf("%q is %+v, %v", text, i, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(someone.String())
	f.Fuzz(func(t *testing.T, text string) {
		i, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(i.String()); err != nil || !reflect.DeepEqual(again, i) {
			t.Errorf("%q: %+v, then %+v, %v", text, i, again, err)
		}
	})
}
