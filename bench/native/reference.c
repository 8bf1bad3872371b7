/* Reference servers in C: the least that a broadcast over WebSocket can cost on this machine, and therefore what the relay is compared with.
 *
 *   reference --per event    writes each event to each subscriber when it comes
 *   reference --per wakeup   writes what one wake-up of epoll brought, once per subscriber
 *
 * They speak just enough for the load generator: handshake, connection_established, subscribe, POST …/events and …/batch_events. They check
 * nothing, know one app, and trust that strings have no escapes. Prints `listening PORT`. */
#define _GNU_SOURCE
#include "digests.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CHANNELS = 16384, EVENTS_PER_WAIT = 512, MAX_UNSENT = 1 << 20 };

typedef struct { uint8_t *bytes; size_t length, capacity; } buffer;
static void append(buffer *b, const void *bytes, size_t length) {
  if (b->length + length > b->capacity) {
    b->capacity = (b->length + length) * 2;
    b->bytes = realloc(b->bytes, b->capacity);
  }
  memcpy(b->bytes + b->length, bytes, length);
  b->length += length;
}
static void consume(buffer *b, size_t length) {
  b->length -= length;
  memmove(b->bytes, b->bytes + length, b->length);
  if (b->length == 0) {
    free(b->bytes);
    *b = (buffer){0};
  }
}

typedef struct connection {
  int fd, is_socket, channel, place;
  buffer in, unsent;
} connection;
typedef struct {
  char name[64];
  connection **members;
  int count, capacity, is_dirty;
  buffer waiting;
} channel;

static channel channels[MAX_CHANNELS];
static int channel_count, dirty[MAX_CHANNELS], dirty_count, epoll, per_wakeup;

static void drop(connection *c) {
  if (c->channel >= 0) {
    channel *ch = &channels[c->channel];
    ch->members[c->place] = ch->members[--ch->count];
    ch->members[c->place]->place = c->place;
  }
  close(c->fd);
  c->fd = -1; /* Its memory is not freed: an event of this wake-up may still point at it. */
}

static void send_bytes(connection *c, const void *bytes, size_t length) {
  if (c->fd < 0) return;
  ssize_t sent = c->unsent.length > 0 ? 0 : send(c->fd, bytes, length, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return drop(c);
  if (sent < 0) sent = 0;
  if ((size_t)sent == length) return;
  if (c->unsent.length > MAX_UNSENT) return drop(c);
  append(&c->unsent, (const uint8_t *)bytes + sent, length - (size_t)sent);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void writable(connection *c) {
  ssize_t sent = send(c->fd, c->unsent.bytes, c->unsent.length, MSG_NOSIGNAL);
  if (sent <= 0) return;
  consume(&c->unsent, (size_t)sent);
  if (c->unsent.length > 0) return;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static size_t frame(uint8_t *out, const char *text, size_t length) {
  size_t head = length < 126 ? 2 : 4;
  out[0] = 0x81, out[1] = length < 126 ? (uint8_t)length : 126;
  if (head == 4) out[2] = (uint8_t)(length >> 8), out[3] = (uint8_t)length;
  memcpy(out + head, text, length);
  return head + length;
}
static void send_text(connection *c, const char *text) {
  uint8_t bytes[512];
  send_bytes(c, bytes, frame(bytes, text, strlen(text)));
}

static int channel_index(const char *name, size_t length) {
  for (int i = 0; i < channel_count; i++)
    if (strlen(channels[i].name) == length && memcmp(channels[i].name, name, length) == 0) return i;
  if (channel_count == MAX_CHANNELS || length > 63) exit(1);
  memcpy(channels[channel_count].name, name, length);
  return channel_count++;
}

/* The text between the quotes that follow `field`, from *at on. */
static const char *text_of(const char *field, const char **at, const char *end, size_t *length) {
  const char *found = memmem(*at, (size_t)(end - *at), field, strlen(field));
  if (found == NULL) return NULL;
  const char *from = found + strlen(field), *to = memchr(from, '"', (size_t)(end - from));
  if (to == NULL) return NULL;
  *length = (size_t)(to - from);
  *at = to + 1;
  return from;
}

static void broadcast(int index, const char *data, size_t length) {
  char text[8192];
  uint8_t bytes[8192 + 4];
  channel *ch = &channels[index];
  int size = snprintf(text, sizeof text, "{\"channel\":\"%s\",\"event\":\"bench-event\",\"data\":\"%.*s\"}", ch->name, (int)length, data);
  size_t framed = frame(bytes, text, (size_t)size);
  if (!per_wakeup) {
    for (int i = ch->count - 1; i >= 0; i--) send_bytes(ch->members[i], bytes, framed);
    return;
  }
  append(&ch->waiting, bytes, framed);
  if (!ch->is_dirty) dirty[dirty_count++] = index;
  ch->is_dirty = 1;
}

static void flush_waiting(void) {
  for (int d = 0; d < dirty_count; d++) {
    channel *ch = &channels[dirty[d]];
    for (int i = ch->count - 1; i >= 0; i--) send_bytes(ch->members[i], ch->waiting.bytes, ch->waiting.length);
    ch->waiting.length = 0;
    ch->is_dirty = 0;
  }
  dirty_count = 0;
}

static void published(const char *body, size_t length) {
  const char *at = body, *end = body + length;
  size_t name_length, data_length;
  int is_batch = memmem(body, length, "\"batch\"", 7) != NULL;
  for (;;) {
    const char *name = text_of(is_batch ? "\"channel\":\"" : "\"channels\":[\"", &at, end, &name_length);
    const char *data = name == NULL ? NULL : text_of("\"data\":\"", &at, end, &data_length);
    if (data == NULL) return;
    broadcast(channel_index(name, name_length), data, data_length);
  }
}

/* Both return how many bytes they used; 0: not whole yet. */
static size_t take_request(connection *c, const char *p, size_t length) {
  const char *end = memmem(p, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end - p) + 4, body = 0;
  for (const char *line = p; line < end; line++)
    if (strncasecmp(line, "\ncontent-length:", 16) == 0) body = strtoul(line + 16, NULL, 10);
  if (length < head + body) return 0;
  const char *key = memmem(p, head, "Sec-WebSocket-Key: ", 19);
  if (key != NULL) {
    char text[64], accept[32], response[256];
    uint8_t digest[20];
    int size = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    sha1(text, (size_t)size, digest);
    base64(digest, 20, accept);
    size = snprintf(response, sizeof response,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    send_bytes(c, response, (size_t)size);
    c->is_socket = 1;
    send_text(c, "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"1.1\\\",\\\"activity_timeout\\\":120}\"}");
    return head;
  }
  published(p + head, body);
  static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  send_bytes(c, ok, sizeof ok - 1);
  return head + body;
}

static size_t take_frame(connection *c, uint8_t *p, size_t length) {
  if (length < 6) return 0;
  size_t head = 6, size = p[1] & 127;
  if (size == 126) head = 8, size = (size_t)p[2] << 8 | p[3];
  if (length < head + size) return 0;
  for (size_t i = 0; i < size; i++) p[head + i] ^= p[head - 4 + (i & 3)];
  const char *at = (const char *)p + head, *end = at + size;
  size_t name_length;
  const char *name = memmem(at, size, "pusher:subscribe", 16) ? text_of("\"channel\":\"", &at, end, &name_length) : NULL;
  if (name != NULL) {
    c->channel = channel_index(name, name_length);
    channel *ch = &channels[c->channel];
    if (ch->count == ch->capacity) ch->members = realloc(ch->members, (size_t)(ch->capacity = ch->capacity * 2 + 4) * sizeof *ch->members);
    c->place = ch->count;
    ch->members[ch->count++] = c;
    char text[256];
    snprintf(text, sizeof text, "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"%s\",\"data\":\"{}\"}", ch->name);
    send_text(c, text);
  }
  return head + size;
}

static void readable(connection *c) {
  static uint8_t bytes[1 << 18];
  ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return drop(c);
  append(&c->in, bytes, (size_t)got);
  size_t at = 0;
  while (at < c->in.length && c->fd >= 0) {
    uint8_t *p = c->in.bytes + at;
    size_t used = c->is_socket ? take_frame(c, p, c->in.length - at) : take_request(c, (const char *)p, c->in.length - at);
    if (used == 0) break;
    at += used;
  }
  consume(&c->in, at);
}

int main(int argc, char **argv) {
  if (argc != 3 || strcmp(argv[1], "--per") != 0) return fputs("reference --per event|wakeup\n", stderr), 2;
  per_wakeup = strcmp(argv[2], "wakeup") == 0;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0) return perror("listen"), 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);

  for (;;) {
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, -1);
    for (int i = 0; i < count; i++) {
      connection *c = events[i].data.ptr;
      if (c != NULL) {
        if (c->fd >= 0 && events[i].events & EPOLLOUT) writable(c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        continue;
      }
      for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *fresh = calloc(1, sizeof *fresh);
        fresh->fd = fd, fresh->channel = -1;
        event = (struct epoll_event){.events = EPOLLIN, .data.ptr = fresh};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
      }
    }
    flush_waiting();
  }
}
