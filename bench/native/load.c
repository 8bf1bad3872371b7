/* Load generator: N WebSocket subscribers that speak the Pusher protocol and a few keep-alive connections ("lanes") that publish, in one
 * thread over epoll, so that it costs little beside the server that it measures. Prints one line of JSON; see usage().
 *
 * Every event carries, as the first bytes of its data, `~lane channel sequence time`. A lane has one request under way at a time, so each
 * socket must see each lane's events of its channel in order and without a gap: what is missing counts as lost, what comes again as
 * duplicated, what belongs to another channel as misrouted. Any of them, a closed socket or a refused publish is exit code 1.
 * One file, although it is long: a generator is read from top to bottom once and then trusted. */
#define _GNU_SOURCE
#include "digests.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LANES = 64, MAX_PIDS = 16, MAX_BATCH = 10, CONNECTING_AT_ONCE = 64, EVENTS_PER_WAIT = 512, HEAD_BYTES = 41 };
enum mode { RATE, LOOP, BURST, IDLE };
static const char *const mode_names[] = {"rate", "loop", "burst", "idle"};

/* ---- settings ---- */
static struct {
  int port, sockets, channels, lanes, batch, data_bytes, is_signed;
  double rate, warmup, seconds, settle, deadline;
  const char *app, *key, *secret;
  enum mode mode;
  int pids[MAX_PIDS], pid_count;
} set = {.channels = 1, .lanes = 4, .batch = 1, .data_bytes = 100, .rate = 30, .warmup = 1, .seconds = 5, .deadline = 120,
         .app = "101", .key = "appkey", .secret = "appsecret", .mode = LOOP};

static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  exit(2);
}

static void usage(void) {
  fputs("load --port P [--mode rate|loop|burst|idle] [--sockets N] [--channels N] [--lanes N] [--rate EVENTS_PER_SECOND]\n"
        "     [--batch N] [--data-bytes N] [--signed] [--app ID] [--key KEY] [--secret SECRET] [--warmup S] [--seconds S]\n"
        "     [--settle S] [--deadline S] [--pid PID[,PID…]]\n"
        "rate: that many events a second, timed from when each was due. loop: every lane publishes again when it was answered.\n"
        "burst: every lane publishes a batch, and again when all was delivered. idle: connects, subscribes, looks at memory.\n",
        stderr);
  exit(2);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the measured processes ---- */
/* All threads, dead ones included, in nanoseconds. */
static uint64_t cpu_ns(void) {
  uint64_t sum = 0;
  for (int i = 0; i < set.pid_count; i++) {
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(set.pids[i], &clock) != 0 || clock_gettime(clock, &t) != 0) die("process %d is gone", set.pids[i]);
    sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
  }
  return sum;
}
static long rss_kib(void) {
  long sum = 0;
  for (int i = 0; i < set.pid_count; i++) {
    char path[64];
    long size, resident;
    snprintf(path, sizeof path, "/proc/%d/statm", set.pids[i]);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) die("process %d is gone", set.pids[i]);
    fclose(file);
    sum += resident * (sysconf(_SC_PAGESIZE) / 1024);
  }
  return sum;
}

/* ---- latencies: 64 buckets per power of two of microseconds, so under 2 % wrong ---- */
typedef struct { uint64_t count, max, buckets[64 * 40]; } histogram;
static histogram delivery_latency, publish_latency;
static void record(histogram *h, uint64_t ns) {
  uint64_t us = ns / 1000;
  int shift = us < 128 ? 0 : 57 - __builtin_clzll(us);
  h->buckets[shift * 64 + (us >> shift)]++;
  h->count++;
  if (us > h->max) h->max = us;
}
static uint64_t percentile(const histogram *h, double share) {
  uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;
  for (int i = 0; i < 64 * 40; i++) {
    seen += h->buckets[i];
    if (seen > wanted) return i < 128 ? (uint64_t)i : (uint64_t)(i % 64 + 64) << (i / 64 - 1);
  }
  return h->max;
}

/* ---- connections ---- */
typedef enum { CONNECTING, GREETING, SUBSCRIBING, READY, CLOSED } stage;
typedef struct {
  int fd, is_lane, index, channel;
  stage stage;
  /* What was received and is not a whole message yet. */
  uint8_t *rest;
  size_t rest_length;
  /* Subscribers: the sequence number that comes next, per lane. */
  uint32_t *expected;
  /* Lanes: one request at a time. */
  int busy, events_under_way;
  uint64_t sent_at;
} connection;

static connection *sockets, lanes[MAX_LANES];
static uint32_t *published_on[MAX_LANES]; /* per lane and channel */
static int *members;                      /* per channel */
static int epoll, timer, ready_sockets, started_sockets, next_channel;
static uint64_t published, wanted_deliveries, delivered, lost, duplicated, misrouted, closed_early, refused;
static uint64_t window_from, window_to, due_at, due_step;
static int publishing;

static void watch(int fd, uint32_t events, void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

/* Several source addresses, because one has only some 28,000 ports towards the server. */
static void start_connect(connection *c, int source) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket: %s (ulimit -n?)", strerror(errno));
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + (uint32_t)(source & 7))};
  if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0) die("bind: %s", strerror(errno));
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)set.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  c->stage = CONNECTING;
  watch(c->fd, EPOLLOUT, c);
}

/* Requests are far smaller than a socket's buffer, and a lane has one under way: a short write is a fault of the set-up. */
static void send_all(connection *c, const void *bytes, size_t length) {
  ssize_t sent = send(c->fd, bytes, length, MSG_NOSIGNAL);
  if (sent != (ssize_t)length && c->stage != CLOSED) die("send: %s", sent < 0 ? strerror(errno) : "short write");
}

static void send_frame(connection *c, uint8_t opcode, const char *payload, size_t length) {
  static const uint8_t mask[4] = {0x5a, 0x3c, 0x17, 0xe1};
  uint8_t frame[512];
  size_t head = length < 126 ? 2 : 4;
  if (length > sizeof frame - 8) die("frame of %zu bytes", length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (length < 126 ? (uint8_t)length : 126);
  if (head == 4) frame[2] = (uint8_t)(length >> 8), frame[3] = (uint8_t)length;
  memcpy(frame + head, mask, 4);
  for (size_t i = 0; i < length; i++) frame[head + 4 + i] = (uint8_t)payload[i] ^ mask[i & 3];
  send_all(c, frame, head + 4 + length);
}

static void connected(connection *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) die("connect: %s", strerror(error));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
  if (c->is_lane) {
    c->stage = READY;
    return;
  }
  c->stage = GREETING;
  char request[512];
  int length = snprintf(request, sizeof request,
                        "GET /app/%s?protocol=7&client=bench&version=1.0.0&flash=false HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        set.key, set.port);
  send_all(c, request, (size_t)length);
}

static void close_early(connection *c) {
  if (c->stage != READY && !c->is_lane) die("a socket was closed before it had subscribed");
  c->stage = CLOSED;
  close(c->fd);
  closed_early++;
}

static uint64_t digits(const uint8_t *text, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; i++) value = value * 10 + (uint64_t)(text[i] - '0');
  return value;
}

static void event_arrived(connection *c, const uint8_t *mark, uint64_t now) {
  unsigned lane = (unsigned)digits(mark + 1, 2) % MAX_LANES;
  int channel = (int)digits(mark + 4, 5);
  uint32_t sequence = (uint32_t)digits(mark + 10, 10);
  delivered++;
  if (channel != c->channel || (int)lane >= set.lanes) {
    misrouted++;
    return;
  }
  uint32_t *next = &c->expected[lane];
  if (sequence < *next) {
    duplicated++;
    return;
  }
  lost += sequence - *next;
  *next = sequence + 1;
  uint64_t since = digits(mark + 21, 20);
  if (since >= window_from && since < window_to) record(&delivery_latency, now > since ? now - since : 0);
}

static void text_arrived(connection *c, const uint8_t *payload, size_t length, uint64_t now) {
  const uint8_t *mark = memchr(payload, '~', length);
  if (mark != NULL && (size_t)(payload + length - mark) > HEAD_BYTES) return event_arrived(c, mark, now);
  if (c->stage == GREETING && memmem(payload, length, "pusher:connection_established", 29)) {
    char text[128];
    int size = snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"bench-%05d\"}}", c->channel);
    c->stage = SUBSCRIBING;
    return send_frame(c, 1, text, (size_t)size);
  }
  if (c->stage == SUBSCRIBING && memmem(payload, length, "subscription_succeeded", 22)) {
    c->stage = READY;
    ready_sockets++;
    return;
  }
  if (memmem(payload, length, "pusher:ping", 11)) return send_frame(c, 1, "{\"event\":\"pusher:pong\",\"data\":{}}", 33);
  if (c->stage != READY) die("unexpected: %.*s", (int)length, (const char *)payload);
}

/* Each returns how many bytes it used; 0: the message is not whole yet. */
static size_t take_frame(connection *c, const uint8_t *p, size_t length, uint64_t now) {
  if (length < 2) return 0;
  size_t head = 2, size = p[1] & 127;
  if (size == 126) {
    if (length < 4) return 0;
    head = 4, size = (size_t)p[2] << 8 | p[3];
  } else if (size == 127) {
    if (length < 10) return 0;
    head = 10, size = 0;
    for (int i = 0; i < 8; i++) size = size << 8 | p[2 + i];
  }
  if (length - head < size || length < head) return 0;
  switch (p[0] & 15) {
    case 1: text_arrived(c, p + head, size, now); break;
    case 9: send_frame(c, 10, (const char *)p + head, size < 126 ? size : 125); break;
    case 8: close_early(c); break;
    default: break;
  }
  return head + size;
}

static size_t take_handshake(connection *c, const uint8_t *p, size_t length) {
  const uint8_t *end = memmem(p, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  if (length < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) die("handshake refused: %.*s", (int)(end - p), (const char *)p);
  c->expected = calloc((size_t)set.lanes, sizeof *c->expected);
  return (size_t)(end - p) + 4;
}

static size_t take_response(connection *c, const uint8_t *p, size_t length, uint64_t now) {
  const uint8_t *end = memmem(p, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end - p) + 4, body = 0;
  for (const uint8_t *line = p; line < end; line++)
    if (strncasecmp((const char *)line, "\ncontent-length:", 16) == 0) body = strtoul((const char *)line + 16, NULL, 10);
  if (length < head + body) return 0;
  if (memcmp(p, "HTTP/1.1 200", 12) != 0) {
    if (refused++ == 0) fprintf(stderr, "load: a publish was refused: %.*s\n", (int)(head + body), (const char *)p);
  }
  c->busy = 0;
  published += (uint64_t)c->events_under_way;
  if (c->sent_at >= window_from && c->sent_at < window_to) record(&publish_latency, now - c->sent_at);
  return head + body;
}

static void readable(connection *c) {
  static uint8_t buffer[1 << 20];
  memcpy(buffer, c->rest, c->rest_length);
  ssize_t got = recv(c->fd, buffer + c->rest_length, sizeof buffer - c->rest_length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close_early(c);
  uint64_t now = now_ns();
  size_t length = c->rest_length + (size_t)got, at = 0;
  while (at < length && c->stage != CLOSED) {
    size_t used = c->is_lane                                     ? take_response(c, buffer + at, length - at, now)
                  : c->stage == GREETING && c->expected == NULL ? take_handshake(c, buffer + at, length - at)
                                                                : take_frame(c, buffer + at, length - at, now);
    if (used == 0) break;
    at += used;
  }
  if (at < length && length - at > (1 << 18)) die("a message of more than 256 KiB");
  if (length - at > c->rest_length) c->rest = realloc(c->rest, length - at);
  c->rest_length = length - at;
  memcpy(c->rest, buffer + at, c->rest_length);
}

/* ---- publishing ---- */
static void append_event(char *out, size_t *length, int lane, int channel, uint64_t time, const char *channel_field) {
  static char padding[4096];
  if (padding[0] == 0) memset(padding, 'x', sizeof padding - 1);
  *length += (size_t)sprintf(out + *length, "{\"name\":\"bench-event\",%s,\"data\":\"~%02d %05d %010u %020llu %.*s\"}", channel_field, lane, channel,
                             published_on[lane][channel]++, (unsigned long long)time, set.data_bytes - HEAD_BYTES - 1, padding);
  wanted_deliveries += (uint64_t)members[channel];
}

static void publish(connection *c, uint64_t at) {
  static char body[MAX_BATCH * 8192], request[MAX_BATCH * 8192 + 1024];
  size_t size = 0;
  if (set.batch > 1) size += (size_t)sprintf(body, "{\"batch\":[");
  for (int i = 0; i < set.batch; i++) {
    int channel = next_channel;
    next_channel = (next_channel + 1) % set.channels;
    char field[64];
    snprintf(field, sizeof field, set.batch > 1 ? "\"channel\":\"bench-%05d\"" : "\"channels\":[\"bench-%05d\"]", channel);
    if (i > 0) body[size++] = ',';
    append_event(body, &size, c->index, channel, at, field);
  }
  if (set.batch > 1) size += (size_t)sprintf(body + size, "]}");

  char path[64], query[256] = "", headers[256] = "";
  snprintf(path, sizeof path, "/apps/%s/%s", set.app, set.batch > 1 ? "batch_events" : "events");
  if (set.is_signed) {
    uint8_t digest[32];
    char digest_hex[65], text[512];
    md5(body, size, digest);
    hex(digest, 16, digest_hex);
    snprintf(query, sizeof query, "auth_key=%s&auth_timestamp=%ld&auth_version=1.0&body_md5=%s", set.key, (long)time(NULL), digest_hex);
    int length = snprintf(text, sizeof text, "POST\n%s\n%s", path, query);
    hmac_sha256(set.secret, text, (size_t)length, digest);
    hex(digest, 32, digest_hex);
    strcat(strcat(query, "&auth_signature="), digest_hex);
  } else {
    snprintf(headers, sizeof headers, "X-Relay-Key: %s\r\nX-Relay-Secret: %s\r\n", set.key, set.secret);
  }
  int length = snprintf(request, sizeof request,
                        "POST %s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%.*s", path,
                        set.is_signed ? "?" : "", query, set.port, headers, size, (int)size, body);
  c->busy = 1;
  c->events_under_way = set.batch;
  c->sent_at = now_ns();
  send_all(c, request, (size_t)length);
}

static void publish_what_is_due(void) {
  if (!publishing) return;
  uint64_t now = now_ns();
  int all_free = 1;
  for (int i = 0; i < set.lanes; i++) all_free &= !lanes[i].busy;
  for (int i = 0; i < set.lanes; i++) {
    if (lanes[i].busy || lanes[i].stage == CLOSED) continue;
    if (set.mode == RATE) {
      if (due_at > now) break;
      publish(&lanes[i], due_at);
      due_at += due_step * (uint64_t)set.batch;
    } else if (set.mode == BURST) {
      if (!all_free || delivered + lost < wanted_deliveries) break;
      for (int lane = 0; lane < set.lanes; lane++) publish(&lanes[lane], now);
      break;
    } else if (wanted_deliveries - delivered <= (uint64_t)set.sockets * 64) {
      publish(&lanes[i], now); /* The bound keeps a server that is faster than the generator from filling every buffer. */
    }
  }
  if (set.mode == RATE) {
    uint64_t at = due_at > now ? due_at : now + 50000;
    struct itimerspec spec = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
  }
}

/* ---- the run ---- */
static void turn(int timeout_ms) {
  struct epoll_event events[EVENTS_PER_WAIT];
  int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, timeout_ms);
  for (int i = 0; i < count; i++) {
    connection *c = events[i].data.ptr;
    if (c == NULL) {
      uint64_t ticks;
      if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
    } else if (c->stage == CONNECTING) {
      connected(c);
    } else if (c->stage != CLOSED) {
      readable(c);
    }
  }
  publish_what_is_due();
}
static void turn_until(uint64_t end) {
  for (uint64_t now = now_ns(); now < end; now = now_ns()) turn((int)((end - now) / 1000000) + 1 > 20 ? 20 : 1);
}

static void connect_everybody(void) {
  sockets = calloc((size_t)set.sockets + 1, sizeof *sockets);
  members = calloc((size_t)set.channels, sizeof *members);
  for (int i = 0; i < set.lanes; i++) {
    published_on[i] = calloc((size_t)set.channels, sizeof **published_on);
    lanes[i] = (connection){.is_lane = 1, .index = i};
    start_connect(&lanes[i], i);
  }
  while (ready_sockets < set.sockets) {
    while (started_sockets < set.sockets && started_sockets - ready_sockets < CONNECTING_AT_ONCE) {
      connection *c = &sockets[started_sockets];
      *c = (connection){.index = started_sockets, .channel = started_sockets % set.channels};
      members[c->channel]++;
      start_connect(c, started_sockets++);
    }
    turn(20);
  }
  for (int i = 0; i < set.lanes; i++)
    while (lanes[i].stage == CONNECTING) turn(20);
}

/* Until everything has arrived, or nothing has for two seconds; and a moment longer for what comes twice. */
static void let_arrive(void) {
  uint64_t seen = delivered, progress = now_ns();
  for (;;) {
    int busy = 0;
    for (int i = 0; i < set.lanes; i++) busy += lanes[i].busy;
    if (busy == 0 && delivered >= wanted_deliveries) break;
    if (delivered != seen) seen = delivered, progress = now_ns();
    if (now_ns() - progress > 2000000000u) break;
    turn(20);
  }
  turn_until(now_ns() + 200000000u);
  for (int i = 0; i < set.sockets; i++)
    for (int lane = 0; lane < set.lanes; lane++)
      lost += published_on[lane][sockets[i].channel] - sockets[i].expected[lane];
}

static void print_latency(const char *name, const histogram *h) {
  printf(",\"%s\":{\"count\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"max\":%llu}", name, (unsigned long long)h->count,
         (unsigned long long)percentile(h, 0.5), (unsigned long long)percentile(h, 0.9), (unsigned long long)percentile(h, 0.99),
         (unsigned long long)h->max);
}

static void read_arguments(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--signed") == 0) {
      set.is_signed = 1;
      continue;
    }
    if (i + 1 == argc) usage();
    const char *value = argv[++i];
#define INTEGER(flag, field) else if (strcmp(name, flag) == 0) set.field = atoi(value)
#define NUMBER(flag, field) else if (strcmp(name, flag) == 0) set.field = atof(value)
#define TEXT(flag, field) else if (strcmp(name, flag) == 0) set.field = value
    if (strcmp(name, "--mode") == 0) {
      int mode = 0;
      while (mode <= IDLE && strcmp(mode_names[mode], value) != 0) mode++;
      if (mode > IDLE) usage();
      set.mode = (enum mode)mode;
    } else if (strcmp(name, "--pid") == 0) {
      for (char *rest = (char *)value; *rest != 0 && set.pid_count < MAX_PIDS; rest += *rest == ',')
        set.pids[set.pid_count++] = (int)strtol(rest, &rest, 10);
    }
    INTEGER("--port", port);
    INTEGER("--sockets", sockets);
    INTEGER("--channels", channels);
    INTEGER("--lanes", lanes);
    INTEGER("--batch", batch);
    INTEGER("--data-bytes", data_bytes);
    NUMBER("--rate", rate);
    NUMBER("--warmup", warmup);
    NUMBER("--seconds", seconds);
    NUMBER("--settle", settle);
    NUMBER("--deadline", deadline);
    TEXT("--app", app);
    TEXT("--key", key);
    TEXT("--secret", secret);
    else usage();
  }
  /* Nobody publishes in idle, and a server may cut a lane that never asks anything. */
  int least_lanes = set.mode == IDLE ? 0 : 1;
  if (set.port <= 0 || set.lanes < least_lanes || set.lanes > MAX_LANES || set.batch < 1 || set.batch > MAX_BATCH || set.channels < 1 ||
      set.channels > 99999 || set.sockets < 0 || set.data_bytes <= HEAD_BYTES || set.data_bytes > 4096 || set.rate <= 0)
    usage();
}

int main(int argc, char **argv) {
  read_arguments(argc, argv);
  alarm((unsigned)set.deadline);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < (rlim_t)set.sockets + 100) die("%d sockets need a higher limit of open files (ulimit -Hn)", set.sockets);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  watch(timer, EPOLLIN, NULL);

  long memory_before = rss_kib();
  connect_everybody();
  turn_until(now_ns() + (uint64_t)(set.settle * 1e9));
  long memory_after = rss_kib();

  uint64_t cpu = 0, published_in = 0, delivered_in = 0, own_cpu = 0;
  if (set.mode != IDLE) {
    uint64_t start = now_ns();
    due_at = start;
    due_step = (uint64_t)(1e9 / set.rate);
    window_from = start + (uint64_t)(set.warmup * 1e9);
    window_to = window_from + (uint64_t)(set.seconds * 1e9);
    publishing = 1;
    turn_until(window_from);
    uint64_t cpu_from = cpu_ns(), published_from = published, delivered_from = delivered;
    own_cpu = (uint64_t)clock();
    turn_until(window_to);
    cpu = cpu_ns() - cpu_from, published_in = published - published_from, delivered_in = delivered - delivered_from;
    own_cpu = (uint64_t)clock() - own_cpu;
    publishing = 0;
    let_arrive();
  }

  printf("{\"mode\":\"%s\",\"sockets\":%d,\"seconds\":%g,\"published\":%llu,\"delivered\":%llu,\"publishedInAll\":%llu,\"deliveredInAll\":%llu", mode_names[set.mode], set.sockets,
         set.seconds, (unsigned long long)published_in, (unsigned long long)delivered_in, (unsigned long long)published, (unsigned long long)delivered);
  printf(",\"lost\":%llu,\"duplicated\":%llu,\"misrouted\":%llu,\"closed\":%llu,\"refused\":%llu", (unsigned long long)lost,
         (unsigned long long)duplicated, (unsigned long long)misrouted, (unsigned long long)closed_early, (unsigned long long)refused);
  printf(",\"serverCpuMicroseconds\":%.1f,\"generatorCpuMicroseconds\":%llu", (double)cpu / 1000, (unsigned long long)own_cpu);
  printf(",\"memoryKibBefore\":%ld,\"memoryKibAfter\":%ld", memory_before, memory_after);
  print_latency("deliveryMicroseconds", &delivery_latency);
  print_latency("publishMicroseconds", &publish_latency);
  puts("}");
  return lost + duplicated + misrouted + closed_early + refused == 0 ? 0 : 1;
}
