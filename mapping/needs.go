package mapping

// Needs is what Plan will look for in Directory.Users and Directory.Entries.
type Needs struct {
	Emails       []string // lower case, sorted
	CatalogTypes []string // catalog type ids, sorted
}

// Want says what a plan for this input needs to know of the account beyond the short lists.
func Want(in Input) Needs { return Needs{} }
