# entries.awk - what `.help` shows, from the pages of the modules: signature
# and summary of each name, as a file of Lua.
#     awk -f entries.awk stdlib/*/README.md >entries.lua
#
# A page presents names, in `code`, in three places; what is told of them
# comes behind, and its first sentence is the summary:
#   ### `signature`, `signature`             and a paragraph
#   | `signature`, `signature` | text |      in a table of functions, methods,
#                                            classes or values, as its head says
#   - `signature`, `signature`: text
# A signature begins with the name, "fs.read(", "task:cancel(", "run(", behind
# `await(`, `local x <close> =` or `for x in`; values and classes have no
# bracket. A bare name among signatures, as in "and `post`, `put`", stands for
# the first one with another name. Who presents a name first, presents it.

# The name that a signature is about, or "".
function name_of(code,   name, rest) {
  sub(/^local [a-z]+ <close> = /, "", code)
  sub(/^for [a-z, ]+ in /, "", code)
  if (code !~ /^await\([a-z]+\)$/) sub(/^await\(/, "", code)
  if (code ~ /^function async\./) return "async"
  if (code ~ /^(tostring|pairs)\(/) return "" # Lua's own
  if (!match(code, /^[A-Za-z_][A-Za-z_0-9]*([.:][A-Za-z_][A-Za-z_0-9]*)*/)) return ""
  name = substr(code, 1, RLENGTH)
  rest = substr(code, RLENGTH + 1)
  if (rest ~ /^ ?[({"]/ || rest ~ /^\[/) return name
  return rest == "" && name ~ /[.:]/ ? name : ""
}

# Takes the names in the code of `text`; their summary follows.
function present(text,   code, name, first, first_name) {
  while (match(text, /`[^`]+`/)) {
    code = substr(text, RSTART + 1, RLENGTH - 2)
    text = substr(text, RSTART + RLENGTH)
    name = name_of(code)
    if (name == "" && first != "" && code ~ /^[a-z_]+$/) {
      name = first_name
      sub(/[A-Za-z_0-9]+$/, code, name)
      code = put_name(first, first_name, name)
    }
    if (name == "") continue
    if (first == "") { first = code; first_name = name }
    if (name in open_names)
      signature[name] = signature[name] ", " code
    else if (!(name in signature)) {
      order[++count] = name
      open_names[name] = 1
      signature[name] = code
      module[name] = of
    }
  }
}

# The signature with another name in it.
function put_name(code, from, to,   at) {
  at = index(code, from)
  return substr(code, 1, at - 1) to substr(code, at + length(from))
}

# Ends the text about the names that were presented last.
function finish(   name, end) {
  gsub(/\*\*/, "", about)
  while (match(about, /\]\([^)]*\)/)) { # [text](target)
    end = substr(about, RSTART + RLENGTH)
    about = substr(about, 1, RSTART - 1)
    if (match(about, /\[[^[]*$/))
      about = substr(about, 1, RSTART - 1) substr(about, RSTART + 1)
    about = about end
  }
  gsub(/  +/, " ", about)
  sub(/^ /, "", about)
  sub(/ $/, "", about)
  if (match(about, /[^.]\.( |$)/)) about = substr(about, 1, RSTART)
  for (name in open_names) summary[name] = about
  split("", open_names)
  about = ""
}

FNR == 1 {
  finish()
  of = FILENAME
  sub(/\/[^\/]*$/, "", of)
  sub(/.*\//, "", of)
  in_code = foreign = 0
}
/^```/ { in_code = !in_code; finish(); next }
in_code { next }
/^#/ {
  finish()
  if (/^## /) foreign = /^## (Coming from|Where|Inside)/
  if (!foreign) present($0)
  next
}
foreign { next }
/^$/ { if (about != "") finish(); next }
/^\|/ {
  finish()
  columns = split($0, cell, / *\| */)
  if (!in_table) {
    in_table = cell[2] ~ /^(function|method|class|value)$/ ? cell[2] : "other"
    for (i = 3; i < columns; i++) head[i] = cell[i]
  } else if (in_table != "other" && cell[2] !~ /^-/) {
    present(cell[2])
    about = (head[3] == "gives" ? "Gives " : "") cell[3]
    if (in_table == "class")
      about = "A class below " cell[3] "; " head[4] " " cell[4]
    finish()
  }
  next
}
{ in_table = 0 }
/^- `/ {
  finish()
  at = match($0, /`: /)
  if (at) { present(substr($0, 1, at)); about = substr($0, at + 3) }
  next
}
/^ *- / { finish(); next }
{ about = about " " $0 }

function quote(text) {
  gsub(/\\/, "&&", text)
  gsub(/"/, "\\\"", text)
  return "\"" text "\""
}

END {
  finish()
  print "-- Made by entries.awk."
  print "return {"
  for (i = 1; i <= count; i++) {
    name = order[i]
    printf "[%s] = {signature = %s,\n summary = %s, module = %s},\n", quote(name), \
      quote(signature[name]), quote(summary[name]), quote(module[name])
  }
  print "}"
}
