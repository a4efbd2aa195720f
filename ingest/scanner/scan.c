/* The fast way through a batch of deliveries: frames, headers, router and access lines, in one pass each.
 *
 * It reads what is well-formed and leaves the rest, frame by frame, to the general way in Python, whose rows its own
 * must equal to the letter. Nothing here is decided by a guess: a line is read only where the general way could read it
 * no other way; anything odd, foreign or secret-looking is left. A body with bytes that are no frame makes it refuse
 * the batch.
 *
 * Compiled at installation (hatch_build.py) and loaded by ingest/scanner/__init__.py, which mirrors the structures.
 */

#include "text.h"

#include "php.h"
#include "samples.h"
#include "tables.h"
#include "times.h"

/* A frame with a header like Logplex' has 57 bytes and more, an access line 60. Where all are smaller none can be read,
 * and millions of them would take ten times their bytes. */
enum { COUNT_MAX_DIGITS = 7, PART_BYTES = 128 << 10, MEAN_MIN_BYTES = 48, SMALL_BYTES = 4096 };

/* Who wrote a frame that is left: the masks of ingest/classify.py in their order. GENERAL are frames of which the
 * general way has to read even the header, or rewrite the message. What PHP_LINE and NOT_PHP become, the end of the
 * batch shows. */
enum { ROUTER, LOG_SYSTEM, API, DYNO_MANAGER, DYNO_OUTPUT, ADDON, GENERAL, PHP_LINE, NOT_PHP, PLAIN, READ };

typedef struct {
    const Octet *text; /* the bodies, one behind the other, and PADDING zeros */
    int64_t size;
    const int64_t *body_end;
    const Octet *app_names; /* the apps of the bodies, one behind the other */
    const int64_t *app_end;
    int64_t bodies;
} Batch;

/* Per part of a body; the lines that were read here, and of these the ones with a table of their own. */
typedef struct {
    int64_t body, number, lines, parsed, last_us, last_frame;
} Part;

/* A frame that is left; of one whose sender is GENERAL only the first six fields are known. */
typedef struct {
    int64_t frame, start, head, end, part, sender, time_us, process_start, process_end, message_start, message_end;
} Left;

typedef struct {
    int64_t start, head, end;
} Frame;

typedef struct {
    int64_t frames_count, parts_count, left_count, general_count;
    int64_t *part_of_frame;
    Part *parts;
    Left *left;
    struct ArrowArray tables[TABLES];
    /* From here on not for Python. */
    Frame *frames;
    Rows rows[TABLES];
    bool may_continue; /* some line may begin or continue an event of PHP that spans several */
} Scan;

_Static_assert(sizeof(void *) == sizeof(int64_t), "ingest/scanner/__init__.py mirrors pointers as 64 bits");

/* How many digits stand at a place, up to a most. */
static inline int run_of_digits(const Octet *at, int most) {
    int count = 0;
    while (count < most && is_digit(at[count]))
        count++;
    return count;
}

/* The frame that begins at a place, `<count> <PRI>VERSION …`; whether there is one that fits. */
static bool read_frame(const Octet *text, int64_t start, int64_t end, Frame *frame) {
    const Octet *at = text + start;
    int digit_count = run_of_digits(at, COUNT_MAX_DIGITS);
    if (!digit_count || at[digit_count] != ' ' || at[digit_count + 1] != '<') return false;
    const Octet *head = at + digit_count + 1, *priority = head + 1;
    int priority_digits = run_of_digits(priority, 3);
    const Octet *version = priority + priority_digits + 1;
    int version_digits = priority_digits && version[-1] == '>' ? run_of_digits(version, 3) : 0;
    if (!version_digits || version[version_digits] != ' ') return false;
    int64_t count = digits(at, digit_count), width = version + version_digits + 1 - head;
    *frame = (Frame){start, head - text, head - text + count};
    return count >= width && frame->end <= end;
}

/* Frames of all bodies: how many, or -1 if some bytes are of no frame. Only counted where `frames` is NULL. */
static int64_t read_frames(const Batch *batch, Frame *frames) {
    int64_t count = 0, at = 0;
    for (int64_t body = 0; body < batch->bodies; body++)
        for (; at < batch->body_end[body]; count++) {
            Frame frame;
            if (!read_frame(batch->text, at, batch->body_end[body], &frame)) return -1;
            if (frames) frames[count] = frame;
            at = frame.end;
        }
    return count;
}

typedef struct {
    int64_t time_us;
    bool is_heroku, is_app;
    const Octet *process, *process_end, *message, *message_end;
} Header;

/* `<PRI>1 TIMESTAMP host APPNAME PROCID - MESSAGE`, as Logplex writes it. */
static bool read_header(const Octet *text, const Frame *frame, Header *header) {
    const Octet *end = text + frame->end, *at = find(text + frame->head, end, ' ') + 1;
    if (end - at < STAMP_BYTES || !starts_with(at + STAMP_BYTES, end, " host ", 6)) return false;
    header->time_us = stamp_us(at);
    const Octet *source = at + STAMP_BYTES + 6, *source_end = find(source, end, ' ');
    if (header->time_us == NO_TIME || !source_end || source_end == source) return false;
    header->is_heroku = equals(source, source_end, "heroku", 6);
    header->is_app = equals(source, source_end, "app", 3);
    header->process = source_end + 1;
    header->process_end = find(header->process, end, ' ');
    if (!header->process_end || header->process_end == header->process) return false;
    if (!starts_with(header->process_end, end, " - ", 3)) return false;
    header->message = header->process_end + 3;
    bool has_newline = end > header->message && end[-1] == '\n';
    bool has_return = has_newline && end - 1 > header->message && end[-2] == '\r';
    header->message_end = end - has_newline - has_return;
    return true;
}

/* `name.N`: what every dyno is called. */
static bool is_dyno(const Octet *begin, const Octet *end) {
    const Octet *number = end;
    while (number > begin && is_digit(number[-1]))
        number--;
    if (number == end || number - begin < 2 || number[-1] != '.') return false;
    for (const Octet *at = begin; at < number - 1; at++)
        if (!is_digit(*at) && (lower(*at) < 'a' || lower(*at) > 'z') && *at != '_' && *at != '-') return false;
    return true;
}

static bool is_storable(const Octet *begin, const Octet *end) {
    for (const Octet *at = begin; at < end; at++)
        if (*at > 126 || *at == '@' || *at == '=') return false;
    return true;
}

/* Heroku's word under the name of a one-off dyno. */
static bool is_attach_error(const Header *header) {
    static const char ATTACH_ERROR[] = "Error R13 (Attach error) -> Failed to attach to process";
    return starts_with(header->process, header->process_end, "run.", 4)
           && equals(header->message, header->message_end, ATTACH_ERROR, sizeof ATTACH_ERROR - 1);
}

/* As `senders` of ingest/classify.py. */
static int sender_of(const Header *header) {
    static const char COMMAND[] = "Starting process with command";
    const Octet *process = header->process, *process_end = header->process_end;
    bool is_api = equals(process, process_end, "api", 3);
    if ((header->is_heroku || is_api) && starts_with(header->message, header->message_end, COMMAND, sizeof COMMAND - 1))
        return GENERAL;
    if (header->is_heroku) {
        if (equals(process, process_end, "router", 6)) return ROUTER;
        if (equals(process, process_end, "logplex", 7) || equals(process, process_end, "log-shuttle", 11))
            return LOG_SYSTEM;
        return is_api ? API : DYNO_MANAGER;
    }
    if (!header->is_app) return PLAIN;
    if (is_api) return API;
    if (is_dyno(process, process_end)) return is_attach_error(header) ? DYNO_MANAGER : DYNO_OUTPUT;
    if (equals(process, process_end, "log-shuttle", 11)) return GENERAL;
    return find(header->message, header->message_end, '#') ? ADDON : PLAIN;
}

/* What a dyno printed: READ if it is an access line, else what it may be to PHP. */
static int read_dyno_output(Scan *scan, const Octet *text, const Header *header, unsigned odd) {
    const Octet *begin = header->message, *end = header->message_end;
    Value dyno = {header->process, header->process_end};
    Rows *access = &scan->rows[ACCESS_TABLE], *php = &scan->rows[PHP_TABLE];
    if (!(odd & (CONTROL | BACKSLASH | BROKEN)) && read_access(text, begin, end, access)) {
        access->texts[A_DYNO][access->count] = span(text, dyno);
        return READ;
    }
    if (!may_be_php(begin, end)) return may_be_access(begin, end) ? DYNO_OUTPUT : NOT_PHP;
    if (!(odd & (CONTROL | BROKEN | SUSPECT)) && read_php(text, begin, end, php)) {
        php->texts[P_DYNO][php->count] = span(text, dyno);
        return PHP_LINE;
    }
    scan->may_continue = true;
    return DYNO_OUTPUT;
}

/* READ if the frame's rows were added to its table, or who wrote it. */
static int read_message(Scan *scan, const Octet *text, const Header *header, int64_t frame, int64_t part) {
    const Octet *begin = header->message, *end = header->message_end;
    unsigned odd = look(begin, end);
    int sender = sender_of(header), table = ACCESS_TABLE;
    if (sender == DYNO_OUTPUT) sender = read_dyno_output(scan, text, header, odd);
    if (odd & (BROKEN | SUSPECT)) return GENERAL;
    if (sender == ROUTER) {
        bool is_usual = !(odd & (CONTROL | BACKSLASH)) && starts_with(begin, end, "at=", 3);
        if (!is_usual || !read_router(text, begin, end, &scan->rows[ROUTER_TABLE])) return GENERAL;
        table = ROUTER_TABLE;
        sender = READ;
    }
    if (sender == DYNO_MANAGER || sender == ADDON) {
        Value process = {header->process, header->process_end};
        int kind = sender == ADDON ? addon_kind(process.begin, process.end) : DYNO_KIND;
        Rows *samples = &scan->rows[SAMPLES_TABLE];
        if (!kind) return sender;
        return read_samples(text, begin, end, kind, process, samples, frame, part, header->time_us) == SAMPLE ? READ
                                                                                                              : sender;
    }
    if (sender == READ) add_row(&scan->rows[table], frame, part, header->time_us);
    if (sender == PHP_LINE) add_row(&scan->rows[PHP_TABLE], frame, part, header->time_us);
    return sender;
}

static void leave(Scan *scan, const Octet *text, int64_t number, int64_t part, int sender, const Header *header) {
    const Frame *frame = &scan->frames[number];
    Left *left = &scan->left[scan->left_count++];
    *left = (Left){
        .frame = number, .start = frame->start, .head = frame->head, .end = frame->end, .part = part, .sender = sender
    };
    scan->general_count += sender == GENERAL;
    if (sender == GENERAL) return;
    left->time_us = header->time_us;
    left->process_start = header->process - text;
    left->process_end = header->process_end - text;
    left->message_start = header->message - text;
    left->message_end = header->message_end - text;
}

static void scan_frame(Scan *scan, const Octet *text, int64_t number) {
    int64_t part_number = scan->parts_count - 1;
    Part *part = &scan->parts[part_number];
    Header header;
    scan->part_of_frame[number] = part_number;
    if (!read_header(text, &scan->frames[number], &header) || !is_storable(header.process, header.process_end)) {
        scan->may_continue = true;
        leave(scan, text, number, part_number, GENERAL, NULL);
        return;
    }
    int sender = read_message(scan, text, &header, number, part_number);
    if (sender != GENERAL) {
        part->last_us = header.time_us;
        part->last_frame = number;
    }
    if (sender != READ) {
        leave(scan, text, number, part_number, sender, &header);
        return;
    }
    part->lines++;
    part->parsed++;
}

static void add_plain_line(Scan *scan, const Left *left) {
    Rows *lines = &scan->rows[LINES_TABLE];
    lines->texts[L_PROCESS][lines->count] = (Span){
        (int32_t)left->process_start, (int32_t)(left->process_end - left->process_start)
    };
    lines->texts[L_MESSAGE][lines->count] = (Span){
        (int32_t)left->message_start, (int32_t)(left->message_end - left->message_start)
    };
    add_row(lines, left->frame, left->part, left->time_us);
}

/* Only when all is read it is known whether lines of dynos stand alone. If one event may span several, all lines of
 * dynos are left, but for access lines, since any of them can be a part of it. */
static void decide(Scan *scan) {
    int64_t kept = 0;
    if (scan->may_continue) scan->rows[PHP_TABLE].count = 0;
    for (int64_t i = 0; i < scan->left_count; i++) {
        Left *left = &scan->left[i];
        bool is_dynos = left->sender == PHP_LINE || left->sender == NOT_PHP;
        if (is_dynos && scan->may_continue) left->sender = DYNO_OUTPUT;
        bool is_plain = left->sender == NOT_PHP || left->sender == PLAIN,
             is_read = is_plain || left->sender == PHP_LINE;
        if (is_plain) add_plain_line(scan, left);
        scan->parts[left->part].lines += is_read;
        scan->parts[left->part].parsed += left->sender == PHP_LINE;
        if (!is_read) scan->left[kept++] = *left;
    }
    scan->left_count = kept;
}

static void begin_part(Scan *scan, int64_t body, int64_t number) {
    scan->parts[scan->parts_count++] = (Part){.body = body, .number = number, .last_frame = -1};
}

/* A part of a body begins with the body, and with the first frame beyond each PART_BYTES. */
static void scan_frames(const Batch *batch, Scan *scan) {
    int64_t number = 0, body_start = 0;
    for (int64_t body = 0; body < batch->bodies; body++) {
        begin_part(scan, body, 0);
        for (; number < scan->frames_count && scan->frames[number].start < batch->body_end[body]; number++) {
            int64_t part = (scan->frames[number].start - body_start) / PART_BYTES;
            if (part != scan->parts[scan->parts_count - 1].number) begin_part(scan, body, part);
            scan_frame(scan, batch->text, number);
        }
        body_start = batch->body_end[body];
    }
    decide(scan);
}

static void release_tables(Scan *scan) {
    for (int table = 0; table < TABLES; table++)
        if (scan->tables[table].release) scan->tables[table].release(&scan->tables[table]);
}

/* Tables without a row are not made. */
static bool make_tables(const Batch *batch, Scan *scan) {
    Span *app_of_part = malloc((size_t)(scan->parts_count + 1) * sizeof(Span));
    if (!app_of_part) return false;
    for (int64_t part = 0; part < scan->parts_count; part++) {
        int64_t body = scan->parts[part].body, start = body ? batch->app_end[body - 1] : 0;
        app_of_part[part] = (Span){(int32_t)start, (int32_t)(batch->app_end[body] - start)};
    }
    Apps apps = {batch->app_names, app_of_part};
    bool made = true;
    for (int table = 0; table < TABLES && made; table++)
        if (scan->rows[table].count)
            made = make_batch(
                SHAPES[table].columns, SHAPES[table].width, batch->text, &scan->rows[table], &apps, &scan->tables[table]
            );
    free(app_of_part);
    return made;
}

static bool is_worth_it(const Batch *batch, int64_t frames) {
    return frames >= 0 && frames * MEAN_MIN_BYTES <= batch->size + SMALL_BYTES;
}

static bool allocate(const Batch *batch, Scan *scan) {
    size_t frames = (size_t)scan->frames_count + 1;
    scan->frames = malloc(frames * sizeof *scan->frames);
    scan->part_of_frame = malloc(frames * sizeof *scan->part_of_frame);
    scan->left = malloc(frames * sizeof *scan->left);
    scan->parts = malloc((size_t)(batch->bodies + batch->size / PART_BYTES + 1) * sizeof *scan->parts);
    bool made = scan->frames && scan->part_of_frame && scan->left && scan->parts;
    for (int table = 0; table < TABLES && made; table++) {
        /* A line can hold many samples; any other is one row. */
        int64_t height = scan->frames_count + (table == SAMPLES_TABLE ? batch->size / SAMPLE_MIN_BYTES : 0);
        made = allocate_rows(&scan->rows[table], height, SHAPES[table].texts, SHAPES[table].numbers);
    }
    return made;
}

/* Lines of a file, each up to its newline or the end of its body: how many. Only counted where `lines` is NULL. A
 * line's end is without a carriage return; what it begins with stands in place of a head. */
static int64_t read_lines(const Batch *batch, Frame *lines) {
    int64_t count = 0, at = 0;
    for (int64_t body = 0; body < batch->bodies; body++)
        for (int64_t body_end = batch->body_end[body]; at < body_end; count++) {
            const Octet *newline = find(batch->text + at, batch->text + body_end, '\n');
            int64_t end = newline ? newline - batch->text : body_end;
            bool has_return = newline && end > at && batch->text[end - 1] == '\r';
            if (lines) lines[count] = (Frame){at, at, end - has_return};
            at = newline ? end + 1 : body_end;
        }
    return count;
}

/* A line of a web server's own file: its time is the server's, and there is no dyno. */
static void scan_line(Scan *scan, const Octet *text, int64_t number, int64_t part_number) {
    const Frame *line = &scan->frames[number];
    const Octet *begin = text + line->head, *end = text + line->end;
    Rows *access = &scan->rows[ACCESS_TABLE];
    Part *part = &scan->parts[part_number];
    scan->part_of_frame[number] = part_number;
    if (look(begin, end) & (CONTROL | BACKSLASH | BROKEN | SUSPECT) || !read_combined(text, begin, end, access)) {
        leave(scan, text, number, part_number, GENERAL, NULL);
        return;
    }
    access->texts[A_DYNO][access->count] = (Span){0, 0};
    part->last_us = access->numbers[A_LOGGED_AT][access->count];
    part->last_frame = number;
    add_row(access, number, part_number, part->last_us);
    part->lines++;
    part->parsed++;
}

static void scan_lines(const Batch *batch, Scan *scan) {
    int64_t number = 0;
    for (int64_t body = 0; body < batch->bodies; body++) {
        begin_part(scan, body, 0);
        for (; number < scan->frames_count && scan->frames[number].start < batch->body_end[body]; number++)
            scan_line(scan, batch->text, number, body);
    }
}

/* Everything; the Arrow tables that were taken over live on in what is made of them. */
void drainlake_free(Scan *scan) {
    release_tables(scan);
    for (int table = 0; table < TABLES; table++)
        free(scan->rows[table].memory);
    free(scan->frames);
    free(scan->part_of_frame);
    free(scan->left);
    free(scan->parts);
}

/* The name of the sources that this was compiled from. */
const char *drainlake_sources(void) { return SOURCES; }

int64_t drainlake_scan_bytes(void) { return sizeof(Scan); }

/* `parts` and `names` are the words of ingest/redaction.py, each ended by a zero and the list by another. They must
 * stay. */
void drainlake_set_up(const char *parts, const char *names) { set_up_text(parts, names); }

typedef int64_t Cut(const Batch *batch, Frame *frames);
typedef void Read(const Batch *batch, Scan *scan);

static int cut_and_read(const Batch *batch, Scan *scan, Cut *cut, Read *read) {
    memset(scan, 0, sizeof *scan);
    scan->frames_count = batch->size < INT32_MAX ? cut(batch, NULL) : -1;
    if (!is_worth_it(batch, scan->frames_count)) return 1;
    if (allocate(batch, scan)) {
        cut(batch, scan->frames);
        read(batch, scan);
        if (make_tables(batch, scan)) return 0;
    }
    drainlake_free(scan);
    return 1;
}

/* 0 if the batch was scanned; 1 if it is for the general way: some bytes are of no frame, or the frames are tiny. */
int drainlake_scan(const Batch *batch, Scan *scan) { return cut_and_read(batch, scan, read_frames, scan_frames); }

/* The same of lines of access logs. */
int drainlake_scan_access_lines(const Batch *batch, Scan *scan) {
    return cut_and_read(batch, scan, read_lines, scan_lines);
}
