package simulator

import "net/http"

func (s *Simulator) controls() *http.ServeMux { return http.NewServeMux() }
