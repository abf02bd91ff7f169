"""The pages of a list, and the tokens that lead to them."""
import base64
import re

LARGEST = 25_000


def page(items, query, largest):
    """The items of a page, and the token of the next. Wrong parameters are a ValueError."""
    size, start = int(query.get("pageSize", 0)), offset(query.get("pageToken"))
    if size < 0:
        raise ValueError
    end = start + min(size or LARGEST, largest)
    return items[start:end], token(end) if end < len(items) else None


def token(start, number=0):
    """The number is for tokens that differ and lead to the same page."""
    return base64.urlsafe_b64encode(f"after {start} {number}".encode()).decode()


def offset(token):
    if not token:
        return 0
    found = re.fullmatch(r"after (\d+) \d+", base64.urlsafe_b64decode(token).decode())
    if found is None:
        raise ValueError
    return int(found[1])
