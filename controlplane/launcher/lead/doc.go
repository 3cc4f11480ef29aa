// Package lead is what launchers share of leading, as launcher.Launcher promises
// it of Lead, Resign, Observe and Close.
//
// A [Term] is the time that a launcher leads: the context of what runs for it,
// the wait for that, the facts that it tells, and why it is over. A launcher's own
// term embeds one, beside what it knows of instances. A [Holder] has the present
// term of a launcher: one begins when the one before is over, and none after
// Close.
package lead
