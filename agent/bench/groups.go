package main

// groups are all measurements, in the order of the table.
func groups(quick bool) []*group {
	return []*group{
		doorGroup(quick),
		webhookGroup(quick),
		latencyGroup(quick),
		burstGroup(quick),
		slowGroup(quick),
		hotGroup(quick),
		limitsGroup(quick),
		outageGroup(),
		historyGroup(quick),
		strangerGroup(quick),
		startGroup(quick),
		memoryGroup(quick),
		sizeGroup(),
	}
}

// pick is a size for real, or a small one that only shows that it works.
func pick[T any](quick bool, small, real T) T {
	if quick {
		return small
	}
	return real
}
