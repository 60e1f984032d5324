/* What a GPT computes for a few new tokens, in one pass over its weights: the quick form of torch_blocks.py.

   compiled.py has this machine's C compiler build it, compiled_blocks.py mirrors the structs. Here R is the number
   of rows, the new tokens of all texts together. Each sum of a row is taken in one order, whatever the other rows
   are, so a text comes out the same to the last bit alone and in a batch. Every thread of a team enters a function
   and shares its loops with the others (`omp for`, at whose end each waits for all). */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The numbers of a register, and how many registers hold sums while a panel is read. */
#if defined __AVX512F__
#define LANES 16
#define SUMS 24
#elif defined __AVX2__
#define LANES 8
#define SUMS 12
#else
#define LANES 4
#define SUMS 12
#endif
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4)));

/* Words of a line of a table, and how many registers that are. */
#define WORDS 48
#define VECTORS (WORDS / LANES)

/* Bytes between what is multiplied and what is asked of memory: processors alone do not look past a page. */
#define AHEAD 6144

/* How a table keeps its numbers, by how many there are in a word of four bytes. */
enum { FLOAT32 = 1, BFLOAT16 = 2, INT8 = 4 };

/* W (N, C) as a table of packing.py: panels of outputs, in each a line of WORDS for every input. A line of
   bytes ends with its scale and its offset. bias: (N,) or NULL. */
typedef struct {
    const char *table;
    const float *bias;
    int32_t N, C, per_word;
} Matrix;

enum { RMS, LAYER, NONE };

/* bias: NULL where there is none. */
typedef struct {
    const float *gain, *bias;
    float eps;
    int32_t kind;
} Norm;

enum { SWIGLU, GELU_TANH, GELU_ERF };

/* Those from norm_x on only where a layer looks at a memory. */
typedef struct {
    Norm norm_1, norm_2, q_norm, k_norm, norm_x, cross_q_norm;
    Matrix qkv, attn_proj, fc, mlp_proj, cross_q, cross_proj;
    float *keys, *values; /* (max_batch, max_len, H_kv, D) each */
} Layer;

/* What queries look at, keys and values of S tokens: (S, H_kv, D) each. */
typedef struct {
    const float *keys, *values;
    int32_t S;
} Memory;

typedef struct {
    const Layer *layers;
    const float *cos, *sin; /* (block_size, D / 2) each, or NULL */
    Norm norm_f;
    int32_t n_layer, n_head, n_kv_head, head_dim, n_embd, hidden, mlp, max_len, window; /* window: 0 for none */
} GPT;

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define INLINE static inline __attribute__((always_inline))

/* Number k of each of these words, before its line's scale. */
INLINE lanes unpack(words w, int k, const int per_word)
{
    switch (per_word) {
    case FLOAT32: return (lanes)w;
    case BFLOAT16: return (lanes)(k ? w & 0xffff0000u : w << 16);
    default: return __builtin_convertvector(w >> (8 * k) & 255, lanes);
    }
}

/* Write a row's sums as its outputs from number `begin` on; lane j of sum k is number k of word j. */
static void put(const Matrix *W, int begin, const lanes *sum, int group, float offset, float *y, int more)
{
    const int per_word = W->per_word, n = MIN(group * LANES * per_word, W->N - begin);
    float total[WORDS * INT8];
    if (per_word == 1)
        memcpy(total, sum, group * sizeof *sum);
    else
        for (int i = 0; i < group; i++)
            for (int k = 0; k < per_word; k++)
                for (int j = 0; j < LANES; j++)
                    total[(i * LANES + j) * per_word + k] = sum[i * per_word + k][j] + offset;
    y += begin;
    if (W->bias)
        for (int i = 0; i < n; i++)
            total[i] += W->bias[begin + i];
    if (more)
        for (int i = 0; i < n; i++)
            total[i] += y[i];
    memcpy(y, total, n * sizeof *y);
}

/* M rows of x (R, C) times `group` registers of a panel, from word `first` on; y: (R, N). */
INLINE void panel(const Matrix *W, int p, int first, const float *x, float *y, int more, const int M,
                  const int group, const int per_word)
{
    const int about = per_word == INT8 ? 2 * sizeof(float) : 0, n_bytes = 4 * WORDS + about;
    const char *line = W->table + (size_t)p * W->C * n_bytes;
    lanes sum[8][SUMS] = {{{0}}};
    float offset[8] = {0};
    for (int c = 0; c < W->C; c++, line += n_bytes) {
        float share[8];
        for (int b = 0; b < 4 * group * LANES + about; b += 64) /* gaps would be worse than nothing */
            __builtin_prefetch(line + 4 * first + AHEAD + b, 0, 2);
        for (int m = 0; m < M; m++)
            share[m] = x[m * W->C + c];
        if (per_word == INT8) {
            const float *scale_offset = (const float *)(line + 4 * WORDS);
            for (int m = 0; m < M; m++) {
                offset[m] += share[m] * scale_offset[1];
                share[m] *= scale_offset[0];
            }
        }
        for (int i = 0; i < group; i++) {
            const words w = *(const words *)(line + 4 * (first + i * LANES));
            for (int k = 0; k < per_word; k++)
                for (int m = 0; m < M; m++)
                    sum[m][i * per_word + k] += unpack(w, k, per_word) * share[m];
        }
    }
    for (int m = 0; m < M; m++, y += W->N) {
        lanes done[SUMS];
        for (int i = 0; i < group * per_word; i++)
            done[i] = sum[m][i];
        put(W, (WORDS * p + first) * per_word, done, group, offset[m], y, more);
    }
}

/* All rows of x times one panel: as many rows and words at a time as registers hold sums for. */
INLINE void panel_of_rows(const Matrix *W, int p, int R, const float *x, float *y, int more, const int per_word)
{
    const int used = MIN(WORDS, (W->N - 1) / per_word + 1 - WORDS * p); /* words that hold a number */
    int r = 0;
#define FITS(M, group) (VECTORS % (group) == 0 && (M) * (group) * per_word <= SUMS)
#define ROWS(M)                                                                                                \
    if (FITS(M, 1)) {                                                                                          \
        const int group = FITS(M, 12) ? 12 : FITS(M, 6) ? 6 : FITS(M, 3) ? 3 : 1;                              \
        for (; R - r >= (M); r += (M))                                                                         \
            for (int first = 0; first < used; first += group * LANES)                                          \
                panel(W, p, first, x + r * W->C, y + r * W->N, more, M, group, per_word);                      \
    }
    if (FITS(8, 3))
        ROWS(8)
    ROWS(4)
    ROWS(2)
    ROWS(1)
}

/* y (R, N) = x (R, C) Wᵀ + b, or that added to y. */
static void product(const Matrix *W, int R, const float *x, float *y, int more)
{
    const int width = WORDS * W->per_word, n_panels = (W->N + width - 1) / width;
#pragma omp for
    for (int p = 0; p < n_panels; p++)
        switch (W->per_word) {
        case FLOAT32: panel_of_rows(W, p, R, x, y, more, FLOAT32); break;
        case BFLOAT16: panel_of_rows(W, p, R, x, y, more, BFLOAT16); break;
        default: panel_of_rows(W, p, R, x, y, more, INT8);
        }
}

static inline float dot(const float *a, const float *b, int n)
{
    lanes sums = {0};
    float sum = 0;
    int i = 0;
    for (; n - i >= LANES; i += LANES)
        sums += *(const lanes *)(a + i) * *(const lanes *)(b + i);
    for (; i < n; i++)
        sum += a[i] * b[i];
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    return sum;
}

/* y += x · share. */
static inline void add(float *y, const float *x, float share, int n)
{
    int i = 0;
    for (; n - i >= LANES; i += LANES)
        *(lanes *)(y + i) += *(const lanes *)(x + i) * share;
    for (; i < n; i++)
        y[i] += x[i] * share;
}

/* One row of n numbers; x and y may be the same. */
static void norm(const Norm *norm, const float *x, float *y, int n)
{
    float mean = 0, square = 0;
    if (norm->kind == LAYER) {
#pragma omp simd reduction(+ : mean)
        for (int i = 0; i < n; i++)
            mean += x[i];
        mean /= n;
    }
#pragma omp simd reduction(+ : square)
    for (int i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    const float scale = norm->kind == NONE ? 1 : 1 / sqrtf(square / n + norm->eps);
#pragma omp simd
    for (int i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * (norm->gain ? norm->gain[i] : 1) + (norm->bias ? norm->bias[i] : 0);
}

static void norm_rows(const Norm *each, int R, const float *x, float *y, int n)
{
#pragma omp for
    for (int r = 0; r < R; r++)
        norm(each, x + r * n, y + r * n, n);
}

/* e to the power of x, for x from -87 to 88: 2 to the whole part of x / ln 2, times a series for the rest. */
static inline float power(float x)
{
    x = x < -87 ? -87 : x > 88 ? 88 : x;
    const float whole = rintf(x * 1.44269504f);
    const float t = (x - whole * 0.693145752f) - whole * 1.42860677e-6f; /* ln 2 in two parts */
    float series = 1.f / 5040;
    series = series * t + 1.f / 720;
    series = series * t + 1.f / 120;
    series = series * t + 1.f / 24;
    series = series * t + 1.f / 6;
    series = series * t + 0.5f;
    series = (series * t + 1) * t + 1;
    const int32_t bits = ((int32_t)whole + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return series * scale;
}

/* One row of what `fc` gave -> `hidden` numbers for `proj`, from `begin` to `end`. */
static void activate(const GPT *g, const float *x, float *y, int begin, int end)
{
    if (g->mlp == SWIGLU) {
#pragma omp simd
        for (int i = begin; i < end; i++)
            y[i] = x[i] / (1 + power(-x[i])) * x[g->hidden + i];
    } else if (g->mlp == GELU_TANH) { /* x σ(2 √(2/π) (x + 0.044715 x³)) */
#pragma omp simd
        for (int i = begin; i < end; i++)
            y[i] = x[i] / (1 + power(-1.59576912f * x[i] * (1 + 0.044715f * x[i] * x[i])));
    } else {
        for (int i = begin; i < end; i++)
            y[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.707106781f));
    }
}

/* A query's or a key's numbers, turned by the angles of its place: each pair (x_i, x_{i + D/2}). */
static void turn(const GPT *g, int place, float *x)
{
    const int half = g->head_dim / 2;
    const float *cos = g->cos + place * half, *sin = g->sin + place * half;
#pragma omp simd
    for (int i = 0; i < half; i++) {
        const float a = x[i], b = x[half + i];
        x[i] = a * cos[i] - b * sin[i];
        x[half + i] = b * cos[i] + a * sin[i];
    }
}

/* Of each row: queries and keys normed and turned, then keys and values written to their place in the cache. */
static void keep(const GPT *g, const Layer *layer, int R, const int32_t *slot, const int32_t *place, float *qkv)
{
    const int H = g->n_head, H_kv = g->n_kv_head, D = g->head_dim;
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int h = 0; h < H + 2 * H_kv; h++) {
            float *x = qkv + (r * (H + 2 * H_kv) + h) * D;
            if (h < H + H_kv) {
                norm(h < H ? &layer->q_norm : &layer->k_norm, x, x, D);
                if (g->cos)
                    turn(g, place[r], x);
            }
            if (h >= H) {
                float *kept = h < H + H_kv ? layer->keys : layer->values;
                const size_t line = (size_t)slot[r] * g->max_len + place[r];
                memcpy(kept + (line * H_kv + (h - H) % H_kv) * D, x, D * sizeof *x);
            }
        }
}

/* S scores -> weights that sum to 1. */
static void softmax(float *x, int S)
{
    float most = -INFINITY, sum = 0;
    for (int s = 0; s < S; s++)
        most = x[s] > most ? x[s] : most;
#pragma omp simd reduction(+ : sum)
    for (int s = 0; s < S; s++) {
        x[s] = power(x[s] - most);
        sum += x[s];
    }
#pragma omp simd
    for (int s = 0; s < S; s++)
        x[s] /= sum;
}

/* Ask memory for the keys or values of a few tokens later. */
static inline void ahead(const float *x, int stride, int n)
{
    for (int i = 0; i < n; i += 64 / sizeof *x)
        __builtin_prefetch(x + 8 * stride + i, 0, 2);
}

/* Queries begin … end - 1 of a row look at a memory. q, y: (H, D); weights: (H, room). Token by token, all heads
   of each: in the order in which keys and values lie in memory. */
static void look(const GPT *g, Memory at, int begin, int end, const float *q, float *weights, int room, float *y)
{
    const int H_kv = g->n_kv_head, D = g->head_dim, group = g->n_head / H_kv, stride = H_kv * D;
    const float scale = 1 / sqrtf(D), *k = at.keys, *v = at.values;
    for (int s = 0; s < at.S; s++, k += stride)
        for (int h = begin; h < end; h++) {
            ahead(k + h / group * D, stride, D);
            weights[h * room + s] = dot(q + h * D, k + h / group * D, D) * scale;
        }
    for (int h = begin; h < end; h++)
        softmax(weights + h * room, at.S);
    memset(y + begin * D, 0, (end - begin) * D * sizeof *y);
    for (int s = 0; s < at.S; s++, v += stride)
        for (int h = begin; h < end; h++) {
            ahead(v + h / group * D, stride, D);
            add(y + h * D, v + h / group * D, weights[h * room + s], D);
        }
}

/* Into how many parts the heads of a row are shared out, where there are fewer rows than threads. */
static int parts(const GPT *g, int R, int threads) { return MIN(g->n_head, (threads + R - 1) / R); }

/* All rows look, each at its own text, up to its own place. qkv: (R, H + 2 H_kv, D), y: (R, H, D). */
static void attend(const GPT *g, const Layer *layer, int R, const int32_t *slot, const int32_t *place,
                   const float *qkv, float *weights, int room, float *y, int threads)
{
    const int H = g->n_head, H_kv = g->n_kv_head, D = g->head_dim, n = parts(g, R, threads);
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < n; i++) {
            const int first = g->window && place[r] >= g->window ? place[r] - g->window + 1 : 0;
            const size_t begin = ((size_t)slot[r] * g->max_len + first) * H_kv * D;
            const Memory text = {layer->keys + begin, layer->values + begin, place[r] + 1 - first};
            look(g, text, i * H / n, (i + 1) * H / n, qkv + r * (H + 2 * H_kv) * D,
                 weights + (size_t)r * H * room, room, y + r * H * D);
        }
}

/* All rows look at layer l's part of what their slots look at. q, y: (R, H, D); q is normed in place. */
static void cross_attend(const GPT *g, int l, int R, const Memory *const *memories, float *q, float *weights,
                         int room, float *y, int threads)
{
    const int H = g->n_head, D = g->head_dim, n = parts(g, R, threads);
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < n; i++) {
            for (int h = i * H / n; h < (i + 1) * H / n; h++)
                norm(&g->layers[l].cross_q_norm, q + (r * H + h) * D, q + (r * H + h) * D, D);
            look(g, memories[r][l], i * H / n, (i + 1) * H / n, q + r * H * D, weights + (size_t)r * H * room, room,
                 y + r * H * D);
        }
}

/* y (R, N) = x (R, C) Wᵀ + b. */
void multiply(const Matrix *W, int R, const float *x, float *y, int threads)
{
#pragma omp parallel num_threads(threads)
    product(W, R, x, y, 0);
}

/* x (R, C), embedded tokens -> states after the last norm, in place; what the tokens are is then in the cache.
   Row r is for place[r] of slot[r]; memories[r]: for each layer, what it looks at, or NULL for no such thing.
   room: numbers of the longest text or memory; work: R × (C + wide + hidden + H · room) numbers, where wide is the
   larger of what `qkv` and `fc` give. */
void run_blocks(const GPT *g, int R, const int32_t *slot, const int32_t *place, const Memory *const *memories,
                int room, float *x, float *work, int threads)
{
    const int C = g->n_embd, n_qkv = (g->n_head + 2 * g->n_kv_head) * g->head_dim;
    const int n_fc = g->mlp == SWIGLU ? 2 * g->hidden : g->hidden, wide = n_qkv > n_fc ? n_qkv : n_fc;
    float *h = work, *between = h + R * C, *active = between + R * wide, *weights = active + R * g->hidden;
#pragma omp parallel num_threads(threads)
    {
        for (int l = 0; l < g->n_layer; l++) {
            const Layer *layer = &g->layers[l];
            norm_rows(&layer->norm_1, R, x, h, C);
            product(&layer->qkv, R, h, between, 0);
            keep(g, layer, R, slot, place, between);
            attend(g, layer, R, slot, place, between, weights, room, h, threads);
            product(&layer->attn_proj, R, h, x, 1);
            if (memories) {
                norm_rows(&layer->norm_x, R, x, h, C);
                product(&layer->cross_q, R, h, between, 0);
                cross_attend(g, l, R, memories, between, weights, room, h, threads);
                product(&layer->cross_proj, R, h, x, 1);
            }
            norm_rows(&layer->norm_2, R, x, h, C);
            product(&layer->fc, R, h, between, 0);
#pragma omp for collapse(2)
            for (int r = 0; r < R; r++)
                for (int begin = 0; begin < g->hidden; begin += 256)
                    activate(g, between + r * n_fc, active + r * g->hidden, begin, MIN(begin + 256, g->hidden));
            product(&layer->mlp_proj, R, active, x, 1);
        }
        norm_rows(&g->norm_f, R, x, x, C);
    }
}
