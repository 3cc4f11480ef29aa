// Package spelling tells how near a word is to another, for messages that name
// what was likely meant.
package spelling

// Distance is Levenshtein's, in bytes: how many letters are to be changed, added
// or taken away to make b of a. Its time is the product of the lengths: bound them.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
