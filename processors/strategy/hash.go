package strategy

import "fmt"

// Hash stands for what the strategy brings beside the rules: its table and its setting. It is part of the engine's.
func (s *Priced) Hash() string { return fmt.Sprintf("%s %+v", s.Table.Hash, s.Setting) }
