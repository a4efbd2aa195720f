/* Measured values of runtime metrics and add-ons. What they mean is said in ingest/parsers/samples.py. */

#ifndef DRAINLAKE_SAMPLES_H
#define DRAINLAKE_SAMPLES_H

#include "rows.h"

enum { S_SOURCE, S_METRIC, SAMPLES_TEXTS };
enum { S_VALUE, SAMPLES_NUMBERS };
enum { S_KIND, S_UNIT, SAMPLES_CHOICES };

enum { NO_KIND, DYNO_KIND, POSTGRES, PGBOUNCER, REDIS, KAFKA };
static const char *const KINDS[] = {"", "dyno", "postgres", "pgbouncer", "redis", "kafka"};
enum { OF_BYTES, OF_MS, OF_PAGES, OF_PERCENT, OF_LOAD, OF_COUNT };
static const char *const UNITS[] = {"bytes", "ms", "pages", "percent", "load", "count"};

/* The source of a line stands in each of its rows: a long one would take the square of the line's bytes. */
enum { METRIC_MAX_BYTES = 128, SOURCE_MAX_BYTES = 256, SAMPLE_MIN_BYTES = 10 /* `count#a=1 ` */ };

typedef struct {
    int unit;
    double factor;
} Meaning;

static const struct {
    const char *suffix;
    Meaning meaning;
} SUFFIXES[] = {
    {"bytes", {OF_BYTES, 1}},
    {"kB", {OF_BYTES, 1024}},
    {"KB", {OF_BYTES, 1024}},
    {"MB", {OF_BYTES, 1048576}},
    {"GB", {OF_BYTES, 1073741824}},
    {"ms", {OF_MS, 1}},
    {"s", {OF_MS, 1000}},
    {"us", {OF_MS, 0.001}},
    {"pages", {OF_PAGES, 1}},
    {"%", {OF_PERCENT, 1}},
    {"B", {OF_BYTES, 1}},
    {"TB", {OF_BYTES, 1099511627776}},
    {"KiB", {OF_BYTES, 1024}},
    {"MiB", {OF_BYTES, 1048576}},
    {"GiB", {OF_BYTES, 1073741824}},
    {"TiB", {OF_BYTES, 1099511627776}},
};

/* Measures without a suffix: what a metric begins with, ends with, or is. */
static const struct {
    enum { BEGINS, ENDS, IS } how;
    const char *text;
    int kind; /* NO_KIND: any */
    Meaning meaning;
} BARE[] = {
    {IS, "avg_query", PGBOUNCER, {OF_MS, 0.001}},
    {IS, "max_wait", PGBOUNCER, {OF_MS, 1000}},
    {IS, "avg_recv", PGBOUNCER, {OF_BYTES, 1}},
    {IS, "avg_sent", PGBOUNCER, {OF_BYTES, 1}},
    {BEGINS, "load_avg", NO_KIND, {OF_LOAD, 1}},
    {ENDS, "hit_rate", NO_KIND, {OF_PERCENT, 100}},
    {ENDS, "percentage_used", NO_KIND, {OF_PERCENT, 100}},
    {BEGINS, "tmp_disk_", NO_KIND, {OF_BYTES, 1}},
    {IS, "db_size", NO_KIND, {OF_BYTES, 1}},
};

/* The letters of a metric as they are stored. */
static inline Octet metric_octet(Octet octet) { return octet == '-' || octet == '.' ? '_' : lower(octet); }

static bool fits_metric(int how, const char *text, const Octet *metric, size_t length) {
    size_t width = strlen(text);
    if (width > length || (how == IS && width != length)) return false;
    const Octet *at = how == ENDS ? metric + length - width : metric;
    for (size_t i = 0; i < width; i++)
        if (metric_octet(at[i]) != (Octet)text[i]) return false;
    return true;
}

static Meaning meaning_of(int kind, const Octet *metric, size_t length, const Octet *suffix, const Octet *end) {
    for (size_t i = 0; suffix < end && i < sizeof SUFFIXES / sizeof *SUFFIXES; i++)
        if (equals(suffix, end, SUFFIXES[i].suffix, strlen(SUFFIXES[i].suffix))) return SUFFIXES[i].meaning;
    for (size_t i = 0; suffix == end && i < sizeof BARE / sizeof *BARE; i++)
        if ((!BARE[i].kind || BARE[i].kind == kind) && fits_metric(BARE[i].how, BARE[i].text, metric, length))
            return BARE[i].meaning;
    return (Meaning){OF_COUNT, 1};
}

static int addon_kind(const Octet *process, const Octet *end) {
    if (equals(process, end, "heroku-postgres", 15)) return POSTGRES;
    if (equals(process, end, "heroku-pgbouncer", 16)) return PGBOUNCER;
    if (starts_with(process, end, "redis", 5) || equals(process, end, "heroku-redis", 12)) return REDIS;
    if (starts_with(process, end, "kafka", 5) || equals(process, end, "heroku-kafka", 12)) return KAFKA;
    return NO_KIND;
}

static inline bool is_name(Octet octet) {
    return is_letter(octet) || is_digit(octet) || octet == '_' || octet == '.' || octet == '-';
}

/* Behind `sample#`, `measure#` or `count#`; NULL if the word is none. */
static const Octet *sample_name(const Octet *word, const Octet *end) {
    if (starts_with(word, end, "sample#", 7)) return word + 7;
    if (starts_with(word, end, "measure#", 8)) return word + 8;
    return starts_with(word, end, "count#", 6) ? word + 6 : NULL;
}

/* NOT_SAMPLE is a word like any other; of ODD ones the general way knows more: many digits, exponents, no number. */
typedef enum { SAMPLE, NOT_SAMPLE, ODD } Outcome;

static Outcome read_sample(const Octet *text, const Octet *name, const Octet *end, int kind, Rows *rows) {
    const Octet *at = name;
    while (at < end && is_name(*at))
        at++;
    size_t length = (size_t)(at - name);
    if (!length || at == end || *at++ != '=') return ODD;
    bool is_negative = at < end && *at == '-';
    at += is_negative;
    int64_t whole_and_part = 0;
    const Octet *first = at, *dot = NULL;
    for (; at < end && (is_digit(*at) || (*at == '.' && !dot)); at++) {
        if (*at == '.')
            dot = at;
        else if (at - first > 15)
            return ODD;
        else
            whole_and_part = whole_and_part * 10 + (*at - '0');
    }
    if (at == first || dot == first || (dot && dot + 1 == at)) return ODD;
    if (at - first - (dot != NULL) > 15 || length > METRIC_MAX_BYTES) return ODD;
    const Octet *suffix = at;
    if (at < end && (*at | 0x20) == 'e' && at + 1 < end && !is_letter(at[1])) return ODD;
    if (at < end && *at == '%')
        at++;
    else
        while (at < end && is_letter(*at))
            at++;
    if (at != end) return ODD;
    double value = (double)whole_and_part / POWERS[dot ? suffix - dot - 1 : 0];
    Meaning meaning = meaning_of(kind, name, length, suffix, end);
    value = (is_negative ? -value : value) * meaning.factor + 0.0; /* no -0.0: its bits are those of NULL_NUMBER */
    int64_t row = rows->count;
    memcpy(&rows->numbers[S_VALUE][row], &value, sizeof value);
    rows->texts[S_METRIC][row] = (Span){(int32_t)(name - text), (int32_t)length};
    rows->choices[S_KIND][row] = (Octet)kind;
    rows->choices[S_UNIT][row] = (Octet)meaning.unit;
    return SAMPLE;
}

/* Add the values of a message; ODD if the line is for the general way: then no row is added. */
static Outcome read_samples(
    const Octet *text, const Octet *begin, const Octet *end, int kind, Value process, Rows *rows, int64_t frame,
    int64_t part, int64_t time_us
) {
    int64_t first = rows->count;
    Value source = process;
    for (const Octet *word = begin, *stop; word <= end; word = stop + 1) {
        stop = find(word, end, ' ');
        if (!stop) stop = end;
        if (source.begin == process.begin && starts_with(word, stop, "source=", 7) && stop - word > 7)
            source = (Value){word + 7, stop};
        const Octet *name = sample_name(word, stop);
        Outcome outcome = name ? read_sample(text, name, stop, kind, rows) : NOT_SAMPLE;
        if (outcome == ODD) {
            rows->count = first;
            return ODD;
        }
        if (outcome == SAMPLE) add_row(rows, frame, part, time_us);
    }
    if (source.end - source.begin > SOURCE_MAX_BYTES) {
        rows->count = first;
        return ODD;
    }
    for (int64_t row = first; row < rows->count; row++)
        rows->texts[S_SOURCE][row] = span(text, source);
    return rows->count > first ? SAMPLE : NOT_SAMPLE;
}

#endif
