package simulator

import "slices"

// move checks that the API may move an incident to a status, and returns the status it will be in: within a category;
// from triage or live to learning or closed; from learning to closed. field is the one to blame. The caller holds mu.
func (s *Simulator) move(i *incident, to, field string) (string, *apiError) {
	st := known(&s.settings, s.settings.status(to), to)
	if st == nil {
		return "", refuse(field, codeNotFound, "no such incident status")
	}
	from := s.settings.status(i.status)
	if from.ID == st.ID {
		return st.ID, nil
	}
	open := from.Category == CategoryTriage || from.Category == CategoryLive
	legal := from.Category == st.Category ||
		open && (st.Category == CategoryLearning || st.Category == CategoryClosed) ||
		from.Category == CategoryLearning && st.Category == CategoryClosed
	if !legal {
		return "", refuse(field, "invalid_transition", "an incident can not be moved from %s (%s) to %s (%s)", from.Name, from.Category, st.Name, st.Category)
	}
	switch st.Category {
	case CategoryLearning:
		return s.enterFlow(st, field)
	case CategoryClosed:
		if open && s.o.FlowRequired && !s.hasRole("post_incident_flow_opt_out") {
			return "", forbidden("post_incident_flow_opt_out, to close an incident without its post-incident flow")
		}
	}
	return st.ID, nil
}

// enterFlow is the status of the post-incident flow that asking for one leads to.
func (s *Simulator) enterFlow(st *Status, field string) (string, *apiError) {
	in := func(v *Status) bool {
		return v.Category == CategoryLearning && (s.o.Flow == nil || slices.Contains(s.o.Flow, v.Name))
	}
	if !in(st) {
		return "", refuse(field, codeInvalid, "%s does not belong to the post-incident flow that applies to this incident", st.Name)
	}
	if s.o.ManageLearning {
		for n := range s.settings.statuses {
			if v := &s.settings.statuses[n]; in(v) && !s.settings.gone[v.ID] {
				return v.ID, nil
			}
		}
	}
	return st.ID, nil
}

// startStatus is the status of a new incident: the one asked for if a new incident may have it, else the first live
// one, or triage where the type demands it.
func (s *Simulator) startStatus(k *checked, id, typ, mode string) string {
	if id != "" {
		st := known(&s.settings, s.settings.status(id), id)
		if st == nil {
			k.blame("incident_status_id", codeNotFound, "no such incident status")
			return ""
		}
		ended := st.Category == CategoryLearning || st.Category == CategoryClosed
		if !slices.Contains([]string{CategoryTriage, CategoryLive}, st.Category) && !(ended && mode == "retrospective") {
			k.blame("incident_status_id", codeInvalid, "a new incident can not be %s", st.Name)
		}
		return st.ID
	}
	category := CategoryLive
	if t := s.settings.typ(typ); t != nil && t.CreateInTriage == "always" {
		category = CategoryTriage
	}
	return s.settings.firstStatus(category).ID
}
