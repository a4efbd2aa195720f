/* Errors that PHP wrote to its log, `[DATE] PHP LEVEL:  MESSAGE in FILE on line N`: the form of nearly all of them.
 *
 * What they mean, and all other forms, is said in ingest/parsers/php.py and php_line.py.
 */

#ifndef DRAINLAKE_PHP_H
#define DRAINLAKE_PHP_H

#include "rows.h"

enum { P_DYNO, P_LEVEL, P_MESSAGE, P_FILE, PHP_TEXTS };
enum { P_LINE, P_MEMORY_LIMIT, P_MEMORY_WANTED, PHP_NUMBERS };

static const char *const LEVELS[] = {
    "Fatal error", "Parse error", "Core error", "Compile error", "Recoverable fatal error", "Catchable fatal error",
    "Core warning", "Compile warning", "Warning", "Notice", "Strict Standards", "Deprecated", "Unknown error",
};
enum { DATE_BYTES = 20, LINE_MAX_DIGITS = 9 };

/* Whether the table php could have the line: a sieve, which lets some through that it has not. */
static bool may_be_php(const Octet *at, const Octet *end) {
    static const char *const BEGINNINGS[] = {
        "PHP ", "FastCGI", "Stack trace:", "#", "  thrown in ", "script_filename", "+++ ", "WARNING: ", "ERROR: ",
        "NOTICE: ", "ALERT: ",
    };
    if (at == end) return false;
    if (*at == '[') return end - at > 1 && (is_digit(at[1]) || (at[1] >= 'A' && at[1] <= 'Z'));
    if (is_digit(*at)) return end - at > 4 && at[4] == '/';
    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof *BEGINNINGS; i++)
        if (starts_with(at, end, BEGINNINGS[i], strlen(BEGINNINGS[i]))) return true;
    return false;
}

/* `dd-Mon-yyyy HH:MM:SS` in digits and letters, as the general way demands, which stores the frame's time. */
static bool is_date(const Octet *at) {
    static const char SHAPE[] = "dd-aaa-dddd dd:dd:dd";
    for (int i = 0; i < DATE_BYTES; i++) {
        if (SHAPE[i] == 'd' ? !is_digit(at[i]) : SHAPE[i] == 'a' ? !is_letter(at[i]) : at[i] != (Octet)SHAPE[i]) return false;
    }
    return true;
}

static const Octet *find_last(const Octet *begin, const Octet *end, const char *literal, long length) {
    for (const Octet *at = end - length; at >= begin; at--)
        if (!memcmp(at, literal, (size_t)length)) return at;
    return NULL;
}

static bool begins_file(const Octet *at, const Octet *end, bool is_on_line) {
    if (at == end) return false;
    if (is_on_line) return *at > ' ' && *at < 127;
    return *at == '/' || starts_with(at, end, "phar:", 5)
        || (end - at > 2 && is_letter(*at) && at[1] == ':' && (at[2] == '/' || at[2] == '\\'));
}

/* The place at the end, `` in FILE on line N`` or `` in FILE:N``: where it begins, the file and the number. */
static const Octet *find_place(const Octet *begin, const Octet *end, Value *file, int64_t *line) {
    const Octet *number = end;
    while (number > begin && is_digit(number[-1])) number--;
    if (number == end || end - number > LINE_MAX_DIGITS) return NULL;
    bool is_on_line = number - begin > 9 && !memcmp(number - 9, " on line ", 9);
    if (!is_on_line && (number == begin || number[-1] != ':')) return NULL;
    file->end = number - (is_on_line ? 9 : 1);
    *line = whole(number, end);
    for (const Octet *at = find_last(begin, file->end, " in ", 4); at; at = find_last(begin, at + 3, " in ", 4)) {
        file->begin = at + 4;
        if (begins_file(file->begin, file->end, is_on_line)) return at;
        if (is_on_line && file->begin < file->end && *file->begin != ' ') return NULL;
    }
    return NULL;
}

/* PHP's memory limit, which a message names; whether it could be read, or is not named at all. */
static bool read_memory(const Octet *begin, const Octet *end, int64_t *limit, int64_t *wanted) {
    static const char ALLOWED[] = "Allowed memory size of ", EXHAUSTED[] = " bytes exhausted (tried to allocate ";
    *limit = *wanted = NULL_NUMBER;
    const Octet *at = find_last(begin, end, ALLOWED, sizeof ALLOWED - 1);
    if (!at) return true;
    if (at != begin) return false;
    const Octet *number = at + sizeof ALLOWED - 1, *stop = number;
    while (stop < end && is_digit(*stop)) stop++;
    *limit = whole(number, stop);
    if (!starts_with(stop, end, EXHAUSTED, sizeof EXHAUSTED - 1)) return false;
    number = stop += sizeof EXHAUSTED - 1;
    while (stop < end && is_digit(*stop)) stop++;
    *wanted = whole(number, stop);
    return *limit >= 0 && *wanted >= 0 && starts_with(stop, end, " bytes)", 7);
}

/* Read a message into the next row; whether it could be. */
static bool read_php(const Octet *text, const Octet *at, const Octet *end, Rows *rows) {
    if (end - at < DATE_BYTES + 10 || *at != '[' || !is_date(at + 1) || at[DATE_BYTES + 1] != ' ') return false;
    const Octet *zone = at + DATE_BYTES + 2, *zone_end = find(zone, end, ']');
    if (!zone_end || zone_end == zone || !starts_with(zone_end, end, "] PHP ", 6)) return false;
    const Octet *level = zone_end + 6, *level_end = find(level, end, ':');
    if (!level_end || !starts_with(level_end, end, ": ", 2)) return false;
    bool is_level = false;
    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS && !is_level; i++)
        is_level = equals(level, level_end, LEVELS[i], strlen(LEVELS[i]));
    const Octet *message = level_end + 2;
    if (message < end && *message == ' ') message++;
    Value file;
    int64_t line, row = rows->count;
    const Octet *place = is_level ? find_place(message, end, &file, &line) : NULL;
    if (!place || place == message || !read_memory(message, place, &rows->numbers[P_MEMORY_LIMIT][row], &rows->numbers[P_MEMORY_WANTED][row]))
        return false;
    rows->texts[P_LEVEL][row] = span(text, (Value){level, level_end});
    rows->texts[P_MESSAGE][row] = span(text, (Value){message, place});
    rows->texts[P_FILE][row] = span(text, file);
    rows->numbers[P_LINE][row] = line;
    return true;
}

#endif
