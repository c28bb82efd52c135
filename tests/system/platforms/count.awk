# SPDX-License-Identifier: Apache-2.0
#
# Reads what `init` has printed, and prints a line for each test: PART, PASS, SKIP or FAIL, and the test, with tabs between
# them. A Go test that has tests below it is none. "PART SECONDS n" is how long they took. A PASS of the sweep is a number
# of cases.

function finish_go(    name, parent, above) {
  for (name in result) {
    above = name
    while (sub(/\/[^\/]*$/, "", above)) {
      parent[above] = 1
      if (result[name] == "FAIL" || result[name] == "RUN") explained[above] = 1
    }
  }
  for (name in result) {
    if (name in parent && (result[name] == "PASS" || result[name] == "SKIP" || name in explained)) continue
    # One that never ended has not passed.
    say(result[name] == "RUN" ? "FAIL" : result[name], name)
  }
  split("", result)
  split("", explained)
}

function say(what, name) {
  if (what == "FAIL") failed = 1
  if (what != "SKIP") ran = 1
  print part "\t" what "\t" name
}

# A program that has failed without a test that did, or has run none, has failed itself.
function finish(status) {
  finish_go()
  if (status != 0 && !failed) say("FAIL", "exit status " status)
  else if (!ran) say("FAIL", "no test has run")
  part = ""
}

/^@@ BEGIN / { part = $3; failed = ran = 0; next }
part == "" { next }
/^@@ (PASS|SKIP|FAIL) / { say($2, $3); next }
/^@@ END / {
  seconds = $5
  ended = part
  finish($4)
  print ended "\tSECONDS\t" seconds
  next
}
match($0, /\026=== RUN +/) {
  name = substr($0, RSTART + RLENGTH)
  if (!(name in result)) result[name] = "RUN"
  next
}
match($0, /\026 *--- (PASS|FAIL|SKIP): [^ ]+ \(/) {
  line = substr($0, RSTART + 1, RLENGTH - 1)
  sub(/^ *--- /, "", line)
  result[substr(line, 7, length(line) - 8)] = substr(line, 1, 4)
  next
}
part == "sweep" && /^VIOLATION/ { say("FAIL", $0) }
part == "sweep" && /^left out, as it cannot be made here: / { name = substr($0, index($0, ": ") + 2); gsub(" ", "_", name); say("SKIP", name) }
part == "sweep" && $1 == "all" && $2 ~ /^[0-9]+$/ { say("PASS", $2 - $6) }
END { if (part != "") finish("unknown: it never ended") }
