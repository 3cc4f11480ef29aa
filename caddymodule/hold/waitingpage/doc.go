// Package waitingpage is what a person sees while an app starts: a page that
// needs nothing from elsewhere and works without JavaScript, and the state of
// the start that it shows (spec instances.md §3).
//
// The page is live by server-sent events, or by asking for the state where
// those do not come through. When the app is ready it loads the address that
// was asked for again, query and fragment as they were. All words come from
// here: the script only puts them where they belong.
package waitingpage
