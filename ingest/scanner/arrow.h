/* Rows as an Arrow record batch, handed over by the C data interface.
 *
 * A batch is one allocation: the structures of its arrays first, then all their buffers. It is freed when the last
 * array is released; arrays can be released by any thread, in any order.
 * https://arrow.apache.org/docs/format/CDataInterface.html
 */

#ifndef DRAINLAKE_ARROW_H
#define DRAINLAKE_ARROW_H

#include "rows.h"
#include "samples.h"

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

enum { COLUMNS_MAX = 24, ALIGNMENT = 64, SLACK = 16 };

/* What a column is made of. `index` is that of a text, number or choice; METRIC is a text in the letters of metrics;
 * `choices` are the texts of CHOICE, that of CONSTANT the only one. */
typedef enum {
    TIME,
    APP,
    CONSTANT,
    CHOICE,
    TEXT,
    TEXT_OR_EMPTY,
    METRIC,
    NOTHING,
    INT16,
    INT32,
    INT64,
    DOUBLE,
    NULLS,
    FALSE,
    FRAME
} Kind;
typedef struct {
    Kind kind;
    int index;
    const char *const *choices;
} Column;

/* The apps of the parts, and where in `apps` the name of each stands. */
typedef struct {
    const Octet *names;
    const Span *of_part;
} Apps;

typedef struct {
    void *memory;
    int64_t references;
    Octet *free_at;
    struct ArrowArray arrays[COLUMNS_MAX];
    struct ArrowArray *children[COLUMNS_MAX];
    const void *buffers[COLUMNS_MAX][3];
    const void *own_buffers[1];
} Holder;

static void release_array(struct ArrowArray *array) {
    Holder *holder = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    array->release = NULL;
    if (__atomic_sub_fetch(&holder->references, 1, __ATOMIC_ACQ_REL) == 0) free(holder->memory);
}

static inline size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static void *take(Holder *holder, size_t bytes) {
    void *taken = holder->free_at;
    holder->free_at += aligned(bytes);
    return taken;
}

static inline bool is_of_text(Kind kind) { return kind == TEXT || kind == TEXT_OR_EMPTY || kind == METRIC; }

static inline bool is_text(Kind kind) {
    return kind == APP || kind == CONSTANT || kind == CHOICE || is_of_text(kind) || kind == NOTHING;
}

static inline size_t number_bytes(Kind kind) { return kind == INT16 ? 2 : kind == INT32 ? 4 : 8; }

/* The text of a row; a length of 0 is NULL. */
static inline const Octet *
text_at(const Column *column, const Octet *text, const Rows *rows, const Apps *apps, int64_t row, int32_t *length) {
    switch (column->kind) {
    case TEXT:
    case TEXT_OR_EMPTY:
    case METRIC: {
        Span field = rows->texts[column->index][row];
        *length = field.length;
        return text + field.start;
    }
    case APP: {
        Span app = apps->of_part[rows->part[row]];
        *length = app.length;
        return apps->names + app.start;
    }
    case CONSTANT:
    case CHOICE: {
        const char *choice = column->choices[column->kind == CHOICE ? rows->choices[column->index][row] : 0];
        *length = (int32_t)strlen(choice);
        return (const Octet *)choice;
    }
    default: *length = 0; return text;
    }
}

static size_t text_bytes(const Column *column, const Octet *text, const Rows *rows, const Apps *apps) {
    size_t bytes = 0;
    int32_t length;
    if (column->kind == NOTHING) return 0;
    for (int64_t row = 0; row < rows->count; row++, bytes += (size_t)length)
        text_at(column, text, rows, apps, row, &length);
    return bytes;
}

/* Fields of our texts are copied 16 bytes at once: what is written too far is overwritten by the next, and the buffer
 * has so much room behind its last. Constants have no such bytes to read behind them. */
static inline Octet *append(Octet *to, const Octet *from, int32_t length, bool is_padded) {
    if (is_padded && length <= SLACK)
        memcpy(to, from, SLACK);
    else
        memcpy(to, from, (size_t)length);
    return to + length;
}

static void fill_text(
    Holder *holder, struct ArrowArray *array, const Column *column, const Octet *text, const Rows *rows,
    const Apps *apps, size_t bytes
) {
    size_t height = (size_t)rows->count;
    Octet *validity = take(holder, (height + 7) / 8);
    int32_t *offsets = take(holder, (height + 1) * sizeof *offsets);
    Octet *octets = take(holder, bytes + SLACK), *to = octets;
    memset(validity, 0, (height + 7) / 8);
    bool may_be_null = column->kind != APP && column->kind != CONSTANT && column->kind != TEXT_OR_EMPTY;
    int64_t nulls = 0;
    offsets[0] = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        int32_t length;
        const Octet *from = text_at(column, text, rows, apps, row, &length);
        Octet *begin = to;
        to = append(to, from, length, is_of_text(column->kind));
        for (; column->kind == METRIC && begin < to; begin++)
            *begin = metric_octet(*begin);
        offsets[row + 1] = (int32_t)(to - octets);
        bool is_null = may_be_null && !length;
        nulls += is_null;
        validity[row / 8] |= (Octet)(!is_null << (row % 8));
    }
    array->n_buffers = 3;
    array->null_count = nulls;
    array->buffers[0] = nulls ? validity : NULL;
    array->buffers[1] = offsets;
    array->buffers[2] = octets;
}

/* All false, or all NULL. */
static void fill_zeros(struct ArrowArray *array, Octet *validity, void *cells, size_t height) {
    memset(cells, 0, height * sizeof(int64_t));
    if (validity) memset(validity, 0, (height + 7) / 8);
    array->n_buffers = 2;
    array->null_count = validity ? (int64_t)height : 0;
    array->buffers[0] = validity;
    array->buffers[1] = cells;
}

static void fill_numbers(Holder *holder, struct ArrowArray *array, const Column *column, const Rows *rows) {
    size_t height = (size_t)rows->count;
    Octet *validity = take(holder, (height + 7) / 8);
    void *cells = take(holder, height * number_bytes(column->kind));
    if (column->kind == FALSE || column->kind == NULLS) {
        fill_zeros(array, column->kind == NULLS ? validity : NULL, cells, height);
        return;
    }
    const int64_t *values = column->kind == TIME    ? rows->time_us
                            : column->kind == FRAME ? rows->frame
                                                    : rows->numbers[column->index];
    memset(validity, 0, (height + 7) / 8);
    int64_t nulls = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        bool is_null = values[row] == NULL_NUMBER;
        int64_t value = is_null ? 0 : values[row];
        if (column->kind == INT16)
            ((int16_t *)cells)[row] = (int16_t)value;
        else if (column->kind == INT32)
            ((int32_t *)cells)[row] = (int32_t)value;
        else
            ((int64_t *)cells)[row] = value;
        nulls += is_null;
        validity[row / 8] |= (Octet)(!is_null << (row % 8));
    }
    array->n_buffers = 2;
    array->null_count = nulls;
    array->buffers[0] = nulls ? validity : NULL;
    array->buffers[1] = cells;
}

static size_t column_bytes(Kind kind, size_t height, size_t text) {
    size_t validity = aligned((height + 7) / 8);
    if (!is_text(kind)) return validity + aligned(height * number_bytes(kind));
    return validity + aligned((height + 1) * sizeof(int32_t)) + aligned(text + SLACK);
}

/* Fill `batch` with the rows; whether there was memory for it, and its offsets can reach all of its texts. */
static bool make_batch(
    const Column *columns, int count, const Octet *text, const Rows *rows, const Apps *apps, struct ArrowArray *batch
) {
    size_t bytes[COLUMNS_MAX], total = aligned(sizeof(Holder)) + ALIGNMENT;
    for (int i = 0; i < count; i++) {
        bytes[i] = is_text(columns[i].kind) ? text_bytes(&columns[i], text, rows, apps) : 0;
        if (bytes[i] > INT32_MAX) return false;
        total += column_bytes(columns[i].kind, (size_t)rows->count, bytes[i]);
    }
    Octet *memory = malloc(total);
    if (!memory) return false;
    Holder *holder = (Holder *)(memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT);
    memset(holder, 0, sizeof *holder);
    holder->memory = memory;
    holder->references = 1 + count;
    holder->free_at = (Octet *)holder + aligned(sizeof *holder);
    for (int i = 0; i < count; i++) {
        struct ArrowArray *array = holder->children[i] = &holder->arrays[i];
        array->length = rows->count;
        array->buffers = holder->buffers[i];
        array->release = release_array;
        array->private_data = holder;
        if (is_text(columns[i].kind))
            fill_text(holder, array, &columns[i], text, rows, apps, bytes[i]);
        else
            fill_numbers(holder, array, &columns[i], rows);
    }
    memset(batch, 0, sizeof *batch);
    batch->length = rows->count;
    batch->n_buffers = 1;
    batch->buffers = holder->own_buffers;
    batch->n_children = count;
    batch->children = holder->children;
    batch->release = release_array;
    batch->private_data = holder;
    return true;
}

#endif
