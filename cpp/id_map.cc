// SPDX-License-Identifier: Apache-2.0

#include "id_map.h"

#include <limits>
#include <sys/auxv.h>

namespace nsenter {
namespace {

bool IsSpace(char character) { return character == ' ' || character == '\t' || character == '\n'; }

/// Takes the next line, without its end, off the front of `text`.
std::string_view TakeLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = First(text, end);
  text = end == std::string_view::npos ? std::string_view() : From(text, end + 1);
  return line;
}

bool TakeId(std::string_view& text, std::uint32_t& ret_id) {
  const std::string_view word = TakeWord(text);
  if (word.empty() || word.size() > kIdDigits) return false;
  std::uint64_t id = 0;
  for (const char digit : word) {
    if (digit < '0' || digit > '9') return false;
    id = id * 10 + static_cast<std::uint64_t>(digit - '0');
    if (id > std::numeric_limits<std::uint32_t>::max()) return false;
  }
  ret_id = static_cast<std::uint32_t>(id);
  return true;
}

struct Line {
  std::uint32_t inside;
  std::uint32_t outside;
  std::uint32_t count;
};

bool ParseLine(std::string_view text, Line& ret_line) {
  return TakeId(text, ret_line.inside) && TakeId(text, ret_line.outside) &&
         TakeId(text, ret_line.count) && ret_line.count != 0 && TakeWord(text).empty();
}

}  // namespace

std::string_view TakeWord(std::string_view& text) {
  std::size_t first = 0;
  while (first < text.size() && IsSpace(text[first])) ++first;
  std::size_t last = first;
  while (last < text.size() && !IsSpace(text[last])) ++last;
  const std::string_view word = First(From(text, first), last - first);
  text = From(text, last);
  return word;
}

Result<IdMap> ParseIdMap(std::string_view name, std::string_view text) {
  const std::size_t page_size = getauxval(AT_PAGESZ);
  if (text.size() >= page_size) {
    return Error::Of(name, " is ", text.size(),
                     " bytes long, the kernel takes less than a page of ", page_size);
  }
  IdMap map;
  map.text = text;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line_text = TakeLine(rest);
    Line line = {};
    ++map.lines;
    if (!ParseLine(line_text, line)) {
      return Error::Of(name, " line ", map.lines, " is not \"inside outside count\": \"", line_text,
                       '"');
    }
    map.maps_zero = map.maps_zero || line.inside == 0;
    map.maps_one_id = map.lines == 1 && line.count == 1;
    map.id_outside = line.outside;
  }
  if (map.lines > kIdMapLines) {
    return Error::Of(name, " has ", map.lines, " lines, the kernel takes ", kIdMapLines);
  }
  return map;
}

}  // namespace nsenter
