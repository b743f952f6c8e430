# The rules of tools/lint that read text, for every file named on the command line. A finding is one
# line: "RULE FILE:LINE: what is wrong". Paths are relative to the tree.

function report(rule, text) {
    print rule " " FILENAME ":" FNR ": " text
}

BEGIN {
    # DESIGN section 8: whose headers a layer may include beside its own, and which of the system's.
    own["base"] = ""
    own["core"] = "base"
    own["crypto"] = "base|core"
    own["net"] = "base|core|crypto"
    own["rtc"] = "base|core|crypto|net"
    own["role"] = "base|core|crypto|net|rtc"
    own["cmd"] = "base|core|crypto|net|rtc|role"
    own["wasm"] = "base|core"

    c = "assert|ctype|errno|inttypes|limits|math|setjmp|signal|stdarg|stdatomic|stdbool|stddef|" \
        "stdint|stdio|stdlib|string|time"
    posix = "arpa/.*|dirent|fcntl|getopt|grp|ifaddrs|linux/.*|net/.*|netdb|netinet/.*|poll|" \
        "pthread|pwd|sched|spawn|sys/.*|syslog|termios|unistd"
    sys["base"] = "assert|errno|inttypes|limits|stdarg|stdbool|stddef|stdint|stdlib|string"
    sys["core"] = "limits|stdbool|stddef|stdint|string"
    sys["crypto"] = c "|pthread|openssl/.*"
    sys["net"] = c "|" posix "|uv|libwebsockets|curl/.*|ares.*|openssl/.*|zlib"
    sys["rtc"] = c "|" posix "|uv|openssl/.*|nice/.*|agent|glib.*|gio/.*|usrsctp"
    sys["role"] = c "|" posix "|uv|cjson/.*"
    sys["cmd"] = c "|" posix "|ftw|uv|curl/.*|ini|qrencode|cjson/.*|openssl/.*"
    sys["wasm"] = "stdbool|stddef|stdint|limits"

    # No bound, hidden state, or undefined overflow; blocking look-ups. In tests, which run under
    # the sanitizers, only what waits for luck.
    waiting = "sleep|usleep|nanosleep"
    banned = "strcpy|strncpy|stpcpy|strcat|strncat|sprintf|vsprintf|gets|scanf|sscanf|fscanf|" \
        "strtok|rand|srand|random|srandom|alloca|atoi|atol|atoll|atof|system|popen|tmpnam|" \
        "mktemp|tempnam|asctime|ctime|localtime|gmtime|gethostbyname|getaddrinfo|inet_ntoa|" \
        "inet_addr|" waiting
    before = "(^|[^A-Za-z0-9_.>])("
    banned = before banned ") *\\("
    waiting = before waiting ") *\\("
}

function start_file() {
    ext = FILENAME
    sub(/^.*[.\/]/, "", ext)
    is_c = ext == "c" || ext == "h"
    is_js = ext == "js" || ext == "mjs"
    is_code = is_c || is_js || ext == "css" || ext == "build" || FILENAME ~ /^tools\//
    n = split(FILENAME, part, "/")
    layer = part[1] == "src" && n > 2 ? part[2] : ""
    in_comment = 0
    decl = ""
    body = 0
    guard = ""
    if (ext == "h" && (part[1] == "src" || part[1] == "test" || part[1] == "include")) {
        guard = part[n]
        sub(/\.h$/, "", guard)
        guard = toupper((part[2] == "unit" ? "TEST" : part[n - 1]) "_" guard "_H")
        gsub(/[^A-Z0-9_]/, "_", guard)
        guard = "FB_" guard
        test_guard = guard
        if (part[1] == "test")
            sub(/^FB_[^_]*_/, "FB_TEST_", test_guard)
        guard_line = 0
    }
    last_file = FILENAME
    last_guard = guard
}

# Complains about the file before this one, once it is known to be whole.
function end_file() {
    if (last_file == "")
        return
    if (last_lines > 800)
        print "length " last_file ":" last_lines ": over 800 lines"
    if (last_guard != "" && guard_line < 2)
        print "guard " last_file ":1: no '#ifndef " last_guard "' and '#define " last_guard "'"
}

FNR == 1 {
    if (is_code_before)
        end_file()
    start_file()
    is_code_before = is_code
}
{ last_lines = FNR }
END {
    if (is_code_before)
        end_file()
}

# Everything that is text.
/(^|[^A-Za-z])(TO[D]O|FI[X]ME|X[X]X|HA[C]K)([^A-Za-z]|$)/ { report("words", "unfinished") }
/\/(work|home)\/[a-z]/ { report("paths", "a path of somebody's machine") }
/[r]egistry\.npmjs|[n]pmjs\.org|[p]kg\.dev|"[r]esolved":/ { report("paths", "a registry's host") }
/[ \t]$/ { report("spaces", "space at the end") }
/\t/ && FILENAME != "Makefile" { report("spaces", "a tab") }
/\r$/ { report("spaces", "carriage return") }

is_code {
    plain = $0
    gsub(/[\200-\277]/, "", plain)
    if (length(plain) > 100)
        report("columns", length(plain) " columns, 100 at most")
}

is_js && !/^\/\/ @ts-check$/ && (FNR == 1 && !/^#!/ || FNR == 2 && first ~ /^#!/) {
    report("ts-check", "the first line is not '// @ts-check'")
}
FNR == 1 { first = $0 }

!is_c { next }

ext == "h" && FNR == 1 && !/^\/\*/ { report("manual", "a header begins with its manual") }
guard_line == 0 && ($0 == "#ifndef " guard || $0 == "#ifndef " test_guard) { guard_line = 1 }
guard_line == 1 && ($0 == "#define " guard || $0 == "#define " test_guard) { guard_line = 2 }

/^[ ]*#[ ]*include/ && layer in own { check_include() }

function check_include(    name, from) {
    name = $0
    if (match($0, /"[^"]*"/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        from = name
        sub(/\/.*/, "", from)
        if (name !~ /\//)
            report("include", "\"" name "\": say \"" layer "/" name "\"")
        else if (from != layer && (own[layer] == "" || from !~ ("^(" own[layer] ")$")))
            report("include", layer " may not include " name)
    } else if (match($0, /<[^>]*>/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        if (name !~ ("^(" sys[layer] ")\\.h$"))
            report("include", layer " may not include <" name ">")
    }
}

# The line without comments and literals.
function strip(line,    out, close_at) {
    out = ""
    while (line != "") {
        if (in_comment) {
            close_at = index(line, "*/")
            if (close_at == 0)
                return out
            line = substr(line, close_at + 2)
            in_comment = 0
        } else if (match(line, /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'|\/\*|\/\//)) {
            out = out substr(line, 1, RSTART - 1)
            if (substr(line, RSTART, 2) == "//")
                return out
            if (substr(line, RSTART, 2) == "/*")
                in_comment = 1
            else
                out = out "\"\""
            line = substr(line, RSTART + RLENGTH)
        } else {
            return out line
        }
    }
    return out
}

{
    code = strip($0)
    if (match(code, part[1] == "test" ? waiting : banned)) {
        name = substr(code, RSTART, RLENGTH)
        gsub(/[^a-z_]/, "", name)
        report("banned", name "()")
    }
    # A function's body: from the line that opens a brace after ')' at the top level to "^}".
    if (body > 0) {
        if (code ~ /^}/) {
            lines = FNR - body + 1
            if (lines > 80 && part[1] != "test")
                report("function", lines " lines, 80 at most and 60 as a rule")
            else if (lines > 60)
                report("note", "a function of " lines " lines; 60 is the rule")
            body = 0
        }
    } else if (code !~ /^#/) {
        decl = decl code
        if (code ~ /\{$/ && decl ~ /\)[^=]*\{$/ && decl !~ /=/)
            body = FNR
        if (code ~ /[;{}]$/ || code == "")
            decl = ""
    }
}
