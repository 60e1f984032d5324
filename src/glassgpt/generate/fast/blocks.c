/* The blocks of a GPT for a few new tokens, in one pass over its weights: the fast form of torch_blocks.py.

   build.py builds this file with the machine's C compiler; native_blocks.py mirrors the structs. Here R is the
   number of rows, the new tokens of all slots together. Each row is summed in the same order for any batch, so a
   text is equal to the last bit alone and in a batch. All threads of a team enter a function and share its loops
   (`omp for`, with a barrier at the end). */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Numbers in a register, and registers that hold sums while a panel is read. */
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

/* Words in a line of a table, and registers that they fill. */
#define WORDS 48
#define VECTORS (WORDS / LANES)

/* Prefetch distance in bytes: CPUs alone do not prefetch across a page. */
#define AHEAD 6144

/* Number formats of a table, by numbers per word of four bytes. */
enum { FLOAT32 = 1, BFLOAT16 = 2, INT8 = 4 };

/* W (N, C) as a table of weights.py: panels of outputs, each with a line of WORDS for every input. A line of
   int8 ends with its scale and offset. bias: (N,) or NULL. */
typedef struct {
    const char *table;
    const float *bias;
    int32_t N, C, per_word;
} Matrix;

enum { RMS, LAYER, NONE };

/* bias: NULL for none. */
typedef struct {
    const float *gain, *bias;
    float eps;
    int32_t kind;
} Norm;

enum { SWIGLU, GELU_TANH, GELU_ERF };

/* The cross-attention members are used only with a memory. */
typedef struct {
    Norm norm_1, norm_2, q_norm, k_norm, norm_cross, cross_q_norm;
    Matrix qkv, attn_proj, fc, mlp_proj, cross_q, cross_proj;
    float *keys, *values; /* (max_batch, max_len, H_kv, D) each */
} Layer;

/* Keys and values of S tokens, (S, H_kv, D) each. */
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

/* Extract number k of each word, before scaling. */
INLINE lanes unpack(words w, int k, const int per_word)
{
    switch (per_word) {
    case FLOAT32: return (lanes)w;
    case BFLOAT16: return (lanes)(k ? w & 0xffff0000u : w << 16);
    default: return __builtin_convertvector(w >> (8 * k) & 255, lanes);
    }
}

/* Store a row's sums as its outputs from `begin` on; lane j of sum k is number k of word j. more: add to y. */
static void store(const Matrix *W, int begin, const lanes *sum, int group, float offset, float *y, int more)
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

/* Multiply M rows of x (R, C) by `group` registers of a panel, from word `first` on; y: (R, N). */
INLINE void panel(const Matrix *W, int p, int first, const float *x, float *y, int more, const int M,
                  const int group, const int per_word)
{
    const int n_extra = per_word == INT8 ? 2 * sizeof(float) : 0, n_bytes = 4 * WORDS + n_extra;
    const char *line = W->table + (size_t)p * W->C * n_bytes;
    lanes sum[8][SUMS] = {{{0}}};
    float offset[8] = {0};
    for (int c = 0; c < W->C; c++, line += n_bytes) {
        float factor[8];
        for (int b = 0; b < 4 * group * LANES + n_extra; b += 64) /* gaps are slower than none */
            __builtin_prefetch(line + 4 * first + AHEAD + b, 0, 2);
        for (int m = 0; m < M; m++)
            factor[m] = x[m * W->C + c];
        if (per_word == INT8) {
            const float *scale_offset = (const float *)(line + 4 * WORDS);
            for (int m = 0; m < M; m++) {
                offset[m] += factor[m] * scale_offset[1];
                factor[m] *= scale_offset[0];
            }
        }
        for (int i = 0; i < group; i++) {
            const words w = *(const words *)(line + 4 * (first + i * LANES));
            for (int k = 0; k < per_word; k++)
                for (int m = 0; m < M; m++)
                    sum[m][i * per_word + k] += unpack(w, k, per_word) * factor[m];
        }
    }
    for (int m = 0; m < M; m++, y += W->N) {
        lanes done[SUMS];
        for (int i = 0; i < group * per_word; i++)
            done[i] = sum[m][i];
        store(W, (WORDS * p + first) * per_word, done, group, offset[m], y, more);
    }
}

/* Multiply all rows of x by one panel, as many rows and words at a time as registers can hold sums for. */
INLINE void panel_of_rows(const Matrix *W, int p, int R, const float *x, float *y, int more, const int per_word)
{
    const int used = MIN(WORDS, (W->N - 1) / per_word + 1 - WORDS * p); /* words with outputs */
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

/* y (R, N) = x (R, C) Wᵀ + b; more: y += instead. */
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

/* Dot product of two vectors of n numbers. */
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

/* y += x · factor. */
static inline void add_scaled(float *y, const float *x, float factor, int n)
{
    int i = 0;
    for (; n - i >= LANES; i += LANES)
        *(lanes *)(y + i) += *(const lanes *)(x + i) * factor;
    for (; i < n; i++)
        y[i] += x[i] * factor;
}

/* Normalize one row of n numbers; x and y may be the same. */
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

/* Normalize R rows of n numbers. */
static void norm_rows(const Norm *each, int R, const float *x, float *y, int n)
{
#pragma omp for
    for (int r = 0; r < R; r++)
        norm(each, x + r * n, y + r * n, n);
}

/* exp(x) for x from -87 to 88: 2 to the integer part of x / ln 2, times a series for the rest. */
static inline float fast_exp(float x)
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
    const uint32_t bits = (uint32_t)((int32_t)(whole == whole ? whole : 0) + 127) << 23; /* NaN has no integer */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return series * scale;
}

/* Activation of one row: output of `fc` -> input of `proj`, numbers `begin` to `end` of `hidden`. */
static void activate(const GPT *g, const float *x, float *y, int begin, int end)
{
    if (g->mlp == SWIGLU) {
#pragma omp simd
        for (int i = begin; i < end; i++)
            y[i] = x[i] / (1 + fast_exp(-x[i])) * x[g->hidden + i];
    } else if (g->mlp == GELU_TANH) { /* x σ(2 √(2/π) (x + 0.044715 x³)) */
#pragma omp simd
        for (int i = begin; i < end; i++)
            y[i] = x[i] / (1 + fast_exp(-1.59576912f * x[i] * (1 + 0.044715f * x[i] * x[i])));
    } else {
        for (int i = begin; i < end; i++)
            y[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.707106781f));
    }
}

/* Rotate a query or key by the angles of its position: each pair (x_i, x_{i + D/2}). */
static void rotate(const GPT *g, int position, float *x)
{
    const int half = g->head_dim / 2;
    const float *cos = g->cos + position * half, *sin = g->sin + position * half;
#pragma omp simd
    for (int i = 0; i < half; i++) {
        const float a = x[i], b = x[half + i];
        x[i] = a * cos[i] - b * sin[i];
        x[half + i] = b * cos[i] + a * sin[i];
    }
}

/* Normalize and rotate queries and keys of each row, and write keys and values to the KV cache. */
static void write_kv(const GPT *g, const Layer *layer, int R, const int32_t *slot, const int32_t *position,
                     float *qkv)
{
    const int H = g->n_head, H_kv = g->n_kv_head, D = g->head_dim;
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int h = 0; h < H + 2 * H_kv; h++) {
            float *x = qkv + (r * (H + 2 * H_kv) + h) * D;
            if (h < H + H_kv) {
                norm(h < H ? &layer->q_norm : &layer->k_norm, x, x, D);
                if (g->cos)
                    rotate(g, position[r], x);
            }
            if (h >= H) {
                float *cached = h < H + H_kv ? layer->keys : layer->values;
                const size_t line = (size_t)slot[r] * g->max_len + position[r];
                memcpy(cached + (line * H_kv + (h - H) % H_kv) * D, x, D * sizeof *x);
            }
        }
}

/* Softmax of S scores, in place. */
static void softmax(float *x, int S)
{
    float most = -INFINITY, sum = 0;
    for (int s = 0; s < S; s++)
        most = x[s] > most ? x[s] : most;
#pragma omp simd reduction(+ : sum)
    for (int s = 0; s < S; s++) {
        x[s] = fast_exp(x[s] - most);
        sum += x[s];
    }
#pragma omp simd
    for (int s = 0; s < S; s++)
        x[s] /= sum;
}

/* Prefetch the keys or values of the token 8 positions later. */
static inline void prefetch_kv(const float *x, int stride, int n)
{
    for (int i = 0; i < n; i += 64 / sizeof *x)
        __builtin_prefetch(x + 8 * stride + i, 0, 2);
}

/* Attention of heads begin … end - 1 of one row. q, y: (H, D); weights: (H, room). Token by token, all heads of
   each: the order of keys and values in RAM. */
static void attend_row(const GPT *g, Memory memory, int begin, int end, const float *q, float *weights, int room,
                       float *y)
{
    const int H_kv = g->n_kv_head, D = g->head_dim, group = g->n_head / H_kv, stride = H_kv * D;
    const float scale = 1 / sqrtf(D), *k = memory.keys, *v = memory.values;
    for (int s = 0; s < memory.S; s++, k += stride)
        for (int h = begin; h < end; h++) {
            prefetch_kv(k + h / group * D, stride, D);
            weights[h * room + s] = dot(q + h * D, k + h / group * D, D) * scale;
        }
    for (int h = begin; h < end; h++)
        softmax(weights + h * room, memory.S);
    memset(y + begin * D, 0, (end - begin) * D * sizeof *y);
    for (int s = 0; s < memory.S; s++, v += stride)
        for (int h = begin; h < end; h++) {
            prefetch_kv(v + h / group * D, stride, D);
            add_scaled(y + h * D, v + h / group * D, weights[h * room + s], D);
        }
}

/* Number of parts that the heads of a row are split into, if there are fewer rows than threads. */
static int parts(const GPT *g, int R, int threads) { return MIN(g->n_head, (threads + R - 1) / R); }

/* Causal self-attention of all rows, each over its own slot. qkv: (R, H + 2 H_kv, D), y: (R, H, D). */
static void attend(const GPT *g, const Layer *layer, int R, const int32_t *slot, const int32_t *position,
                   const float *qkv, float *weights, int room, float *y, int threads)
{
    const int H = g->n_head, H_kv = g->n_kv_head, D = g->head_dim, n = parts(g, R, threads);
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < n; i++) {
            const int first = g->window && position[r] >= g->window ? position[r] - g->window + 1 : 0;
            const size_t begin = ((size_t)slot[r] * g->max_len + first) * H_kv * D;
            const Memory text = {layer->keys + begin, layer->values + begin, position[r] + 1 - first};
            attend_row(g, text, i * H / n, (i + 1) * H / n, qkv + r * (H + 2 * H_kv) * D,
                       weights + (size_t)r * H * room, room, y + r * H * D);
        }
}

/* Cross-attention of all rows to the memories of their slots. q, y: (R, H, D); q is normalized in place. */
static void cross_attend(const GPT *g, int l, int R, const Memory *const *memories, float *q, float *weights,
                         int room, float *y, int threads)
{
    const int H = g->n_head, D = g->head_dim, n = parts(g, R, threads);
#pragma omp for collapse(2)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < n; i++) {
            for (int h = i * H / n; h < (i + 1) * H / n; h++)
                norm(&g->layers[l].cross_q_norm, q + (r * H + h) * D, q + (r * H + h) * D, D);
            attend_row(g, memories[r][l], i * H / n, (i + 1) * H / n, q + r * H * D,
                       weights + (size_t)r * H * room, room, y + r * H * D);
        }
}

/* y (R, N) = x (R, C) Wᵀ + b. */
void multiply(const Matrix *W, int R, const float *x, float *y, int threads)
{
#pragma omp parallel num_threads(threads)
    product(W, R, x, y, 0);
}

/* Embedded tokens x (R, C) -> states after the last norm, in place; fills the KV cache. Row r is for position[r]
   of slot[r]; memories[r]: a memory for each layer, or memories is NULL. room: the longest text or memory, in
   tokens. work: R × (most + wide + hidden + H · room) numbers; most is the larger of C and H · D, wide the larger
   output of `qkv` and `fc`. */
void run_blocks(const GPT *g, int R, const int32_t *slot, const int32_t *position, const Memory *const *memories,
                int room, float *x, float *work, int threads)
{
    const int C = g->n_embd, n_qkv = (g->n_head + 2 * g->n_kv_head) * g->head_dim;
    const int n_fc = g->mlp == SWIGLU ? 2 * g->hidden : g->hidden, wide = n_qkv > n_fc ? n_qkv : n_fc;
    const int n_heads = g->n_head * g->head_dim, most = C > n_heads ? C : n_heads;
    float *h = work, *between = h + R * most, *active = between + R * wide, *weights = active + R * g->hidden;
#pragma omp parallel num_threads(threads)
    {
        for (int l = 0; l < g->n_layer; l++) {
            const Layer *layer = &g->layers[l];
            norm_rows(&layer->norm_1, R, x, h, C);
            product(&layer->qkv, R, h, between, 0);
            write_kv(g, layer, R, slot, position, between);
            attend(g, layer, R, slot, position, between, weights, room, h, threads);
            product(&layer->attn_proj, R, h, x, 1);
            if (memories) {
                norm_rows(&layer->norm_cross, R, x, h, C);
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
