package query

import (
	"strconv"
	"strings"
)

// StatusRange returns the first and the last code that a term of
// Terms.StatusCodes stands for, or a FieldError.
func StatusRange(v string) (low, high int, err error) {
	if len(v) == 3 && v[0] >= '1' && v[0] <= '9' {
		if strings.EqualFold(v[1:], "xx") {
			low = int(v[0]-'0') * 100
			return low, low + 99, nil
		}
		if code, err := strconv.Atoi(v); err == nil {
			return code, code, nil
		}
	}
	return 0, 0, &FieldError{Field: "status_code", Value: v, Problem: "is no status code; use one like 403, or a class like 4xx"}
}
