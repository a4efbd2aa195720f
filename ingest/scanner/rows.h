/* Rows of a table as they are read: one array per column. */

#ifndef DRAINLAKE_ROWS_H
#define DRAINLAKE_ROWS_H

#include "text.h"

enum { TEXTS_MAX = 14, NUMBERS_MAX = 6, CHOICES_MAX = 2 };

#define NULL_NUMBER INT64_MIN

typedef struct {
    int64_t count;
    int64_t *frame;   /* number of the row's frame in the batch */
    int64_t *part;    /* number of the part of a body that it begins in */
    int64_t *time_us; /* the frame's own time */
    Span *texts[TEXTS_MAX];
    int64_t *numbers[NUMBERS_MAX]; /* doubles by their bits */
    Octet *choices[CHOICES_MAX];   /* which of a column's few texts */
    void *memory;
} Rows;

static bool allocate_rows(Rows *rows, int64_t height, int texts, int numbers) {
    size_t cells = (size_t)(height + 1), width = 3 + (size_t)texts + (size_t)numbers;
    int64_t *column = malloc(cells * (width * sizeof(int64_t) + CHOICES_MAX));
    memset(rows, 0, sizeof *rows);
    if (!column) return false;
    rows->memory = column;
    rows->frame = column;
    rows->part = column + cells;
    rows->time_us = column + 2 * cells;
    for (int i = 0; i < texts; i++) rows->texts[i] = (Span *)(column + (3 + (size_t)i) * cells);
    for (int i = 0; i < numbers; i++) rows->numbers[i] = column + (3 + (size_t)(texts + i)) * cells;
    for (int i = 0; i < CHOICES_MAX; i++) rows->choices[i] = (Octet *)(column + width * cells) + (size_t)i * cells;
    return true;
}

/* The next row is complete. */
static inline void add_row(Rows *rows, int64_t frame, int64_t part, int64_t time_us) {
    rows->frame[rows->count] = frame;
    rows->part[rows->count] = part;
    rows->time_us[rows->count++] = time_us;
}

#endif
