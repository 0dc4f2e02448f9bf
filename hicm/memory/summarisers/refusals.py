"""What language models write in place of an answer: refusals, thinking aloud, talk about the question, errors.

Captions can be in the first person too ("I cannot see the pan"), so a refusal must name what only a model is asked for.
None of the patterns matches a real caption of YouCook2 or ActivityNet.
"""

import re


def _at_start(*patterns: str) -> str:
    return rf"\A\W{{0,3}}(?:{'|'.join(patterns)})"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_ASKED = (r"(?:sentences?|summary|summaries|summari[sz]\w*|requests?|tasks?|prompts?|instructions?|content|captions?"
          r"|responses?|answers?|questions?|information|context|explicit|harmful|material)")
_NOT = r"(?:can't|cannot|can not|could not|couldn't|won't|will not|would not|don't|do not|must not)"
_UNABLE = r"(?: am|'m| was) (?:unable|not (?:able|comfortable|allowed|permitted|programmed|going))(?: to)?"
_HELP = r"(?:assist|comply|fulfil\w*|engage|provide|help (?:you )?with (?:that|this|your)|summari[sz]e)\b"
_MAKE = (r"(?:write|create|generate|produce|give|complete|continue|process|answer|describe|discuss|view|access|make"
         r"|determine|find|form|offer|do|respond to|combine|fully|accurately)\b")
_MODEL = (r"(?:(?-i:AI|A\.I\.)|artificial intelligence|(?:large |ai )?language model|llm|chatbot"
          r"|(?:ai|virtual|digital|helpful) assistant)")

REFUSAL = _any(
    _at_start(
        # an apology for not doing it
        r"(?:(?:i'm|i am|we're|we are|my) )?(?:very |so |really |truly )?(?:sorry|apologi[sz]e|apologies|afraid)\b"
        rf".{{0,60}}?\b(?:(?:i|we) (?:just |simply )?{_NOT}|(?:i|we){_UNABLE}|unable|against|no {_ASKED}"
        r"|not (?:provide|contain))",
        r"(?:i'm|i am) sorry,? (?:but|i)\b", r"(?:(?:i|we) apologi[sz]e|apologies),? but\b",
        # not doing it
        rf"(?:unfortunately,? |regrettably,? )?(?:i|we) (?:just |simply )?{_NOT} (?:be able to |in good conscience )?"
        rf"(?:{_HELP}|{_MAKE}.{{0,60}}?\b{_ASKED}\b"
        r"|see (?:any|the) (?:sentences|texts|captions|list)\b"
        r"|(?:view|watch|access|open) (?:the |any |these |those )?(?:videos?|images?|files?|links?|urls?)\b"
        r"|(?:do|answer|complete|continue|process|respond to) (?:that|this|these|those|it)\W*\Z)",
        rf"(?:unfortunately,? )?(?:i|we){_UNABLE} (?:{_HELP}|generate|.{{0,60}}?\b{_ASKED}\b)",
        r"(?:i|we) (?:must|have to|need to|will have to) (?:respectfully |politely )?(?:decline|refuse)"
        r"(?:\W*\Z| (?:this|that|to|your)\b|, )", r"sorry,? but\b",
        r"(?:i|we) (?:do not|don't) feel comfortable (?:with )?(?:summari[sz]|writ|creat|generat|discuss|doing)",
        r"(?:i'd|i would|we'd) (?:rather|prefer) not (?:to )?(?:write|continue|summari[sz]e|discuss|answer|engage)\b",
        r"(?:i'd|i would|i'll|i will|we'd) be (?:happy|glad|able) to (?:help|assist|summari[sz]e)\b",
        rf"it(?:'s| is) (?:not possible|impossible|hard|difficult) to {_MAKE}.{{0,60}}?\b{_ASKED}\b",
        r"it(?:'s| is) (?:not possible|impossible|hard|difficult) to summari[sz]e\b",
        rf"unable to (?:assist|comply|summari[sz]e|generate|provide|fulfil\w*|.{{0,30}}?\b{_ASKED}\b)",
        # what it was not given
        rf"(?:there (?:are|is|were|was) )?no (?:{_ASKED}|texts?) (?:(?:was|were|is|are|has been|have been) )?"
        r"(?:provided|given|supplied|available|to summari[sz]e)",
        r"(?:could you |can you )?(?:please|kindly) (?:provide|share|give|send|supply|specify|clarify|paste)\b"
        rf".{{0,60}}\b(?:{_ASKED}|texts?|me|details?|list)\b",
        r"(?:it (?:seems|looks like|appears) (?:that |like )?)?you (?:haven't|have not|didn't|did not|forgot)"
        r"(?: to)? (?:provide|give|share|include|specify|list|send|attach|paste|ask|suppl)",
        r"(?:i|we) (?:don't|do not) have (?:enough |any |sufficient |access|the (?:ability|capability))"
        r".{0,60}?\b(?:information|context|access|texts?|sentences?|videos?|ability|capability|data)\b",
        r"(?:would you like me|do you want me|what would you like me|how (?:can|may) i (?:help|assist))\b",
        # rules it keeps
        r"(?:this|that|the|your) (?:request|content|prompt|query|text) (?:violates|goes against|is against|may violate"
        r"|cannot|can't|contains|involves|(?:has been|was) (?:blocked|flagged|rejected))",
        # other languages
        r"(?:lo siento|(?:je suis )?d\u00e9sol\u00e9e?|(?:es )?tut mir leid|mi dispiace|desculpe|sinto muito)\b",
        r"(?:als (?:ki|sprachmodell)|en tant que? (?:mod\u00e8le|ia|intelligence)|como (?:modelo de|una? ia))\b",
        r"(?:je ne (?:peux|suis) pas|ich kann (?:das|dies|diese|ihnen|dabei|dir) nicht|n\u00e3o posso|no puedo"
        r"|non posso) (?:\w+ )?(?:r\u00e9pondre|aider|traiter|r\u00e9sumer|en mesure|beantworten|helfen"
        r"|zusammenfassen|ajudar|responder|resumir|ayudar|cumplir|aiutar\w*|rispondere)\b",
        r"\u3059\u307f\u307e\u305b\u3093|\u56de\u7b54\u3067\u304d\u307e\u305b\u3093",
        r"\u5f88?\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u5c0d\u4e0d\u8d77|\u7533\u3057\u8a33|\uc8c4\uc1a1",
        r"(?:\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435|\u043f\u0440\u043e\u0441\u0442\u0438\u0442\u0435)\b",
        r"\u6211(?:\u65e0\u6cd5|\u7121\u6cd5|\u4e0d\u80fd)(?:\u534f\u52a9|\u63d0\u4f9b|\u56de\u7b54|\u6ee1\u8db3|\u5e2e)",
    ),
    rf"\b(?:as|i'm|i am|being|just|only|merely) an? {_MODEL}\b(?! (?:robot|camera|character|player|generated))",
    r"\bmy (?:knowledge cutoff|training data|programming|guidelines)\b",
    r"\b(?:content|usage|safety) (?:policy|policies|guidelines)\b",
    r"\u4f5c(?:\u4e3a|\u70ba).{0,4}(?:\u4eba\u5de5\u667a\u80fd|\u8bed\u8a00\u6a21\u578b|AI)",
)

_FIRST = r"(?:(?:okay|ok|alright|hmm+|wait|well|so|first|right|now|got it)\b[,.:!]*\s+)*"
_QUESTION = r"(?:sentences?|summary|words|texts?|captions?|user)"
_WRITE = r"(?:write|summari[sz]e|produce|output|craft|generate|formulate|condense|compose|come up with|distil\w*)"
_WILL = r"(?:'ll| will| should| must| need to| have to| can| could|'m going to| want to)"
THINKING_ALOUD = _any(*(_at_start(_FIRST + pattern) for pattern in (
    r"the user(?:'s)? (?:is asking|wants|asks|asked|gave|has (?:given|provided|asked)|provided|needs|request\w*|query"
    r"|message|question|prompt)\b",
    rf"(?:i|we){_WILL} {_WRITE}\b[^.]*\b(?:(?:one|single|concise|short) sentence|summar\w*|sentence that|at most|user"
    r"|(?:the|these|those|given) (?:sentences|texts|captions)|\d+ words)\b",
    r"(?:i|we) (?:need|have|must|should)\b[^.]*\b(?:one|a single|single) sentence\b",
    r"let(?:'s| me| us) (?:analy[sz]e|summari[sz]e|parse|think(?:\W|\Z)(?!(?:of|about) (?:an?|it|my|our|him|her)\b))",
    r"let(?:'s| me| us) (?:look at|find|identify|break down|examine|read|consider)\b[^.]*"
    rf"\b(?:{_QUESTION}|common|given)\b",
    r"looking at (?:the|these|all)\b[^.]*\b(?:sentences|texts|captions|descriptions)\b",
    rf"(?:i|we)(?:'m|'re| am| are| was| were)? (?:given|asked)\b[^.]*\b(?:{_QUESTION}|summari[sz]\w*)\b",
    r"(?:the|my) (?:task|prompt|instructions?)\b[^.]*\b(?:one sentence|summar\w*|at most|sentences)\b",
    r"(?:here's a |my )?thinking process\b", r"step (?:1|one)\s*[:.][^.]*\b(?:sentences|texts|analy[sz]e|common)\b")))

TALK = _any(_at_start(
    r"(?:unfortunately,? )?(?:(?:all|most|many|both|several|each) (?:of )?)?(?:(?:the|these|those|your) )?"
    r"(?:(?:given|provided|listed|above|following|different|various) )?"
    r"(?:sentences|statements|descriptions|phrases|texts|captions) "
    r"(?:(?:all|mostly|both|each|generally|collectively|above|provided|given|do|below) )*"
    r"(?:shares?|describes?|depicts?|(?:are|is) (?:all )?about|refers?|involves?|talk|have (?:in common|a common|no)"
    r"|not|don't|cannot|can't|can be|could be|seem|represents?|revolves?|focus|relate|mention|highlight|discuss|cover"
    r"|outline|contain|appear to)\b",
    r"the (?:common|shared) (?:theme|action|thread|element|topic|idea|activity|denominator)\b",
    r"there(?:'s| is| are| was) (?:no|not an?) (?:single |common |shared |one |clear )*"
    r"(?:sentence|theme|summary|caption|topic|denominator)\b",
    r"(?:a|one) sentence (?:that|which) (?:stands|summari[sz]es)\b"))

ERROR = _any(_at_start(
    r"(?:error|exception|fatal|failed)(?: code)?\s*[:\d]", r"traceback \(",
    r"(?:http )?(?:error )?[45]\d\d\b\W{0,3}(?:error|internal|bad|service|too many|not found|unauthori[sz]ed|forbidden"
    r"|gateway)",
    r"internal server error", r"service (?:temporarily )?unavailable", r"too many requests", r"bad gateway",
    r"gateway time-?out", r"rate.limit(?:ed| exceeded| reached)?\W*\Z", r"model overloaded",
    r"(?:cuda )?out of memory\b", r"request timed out", r"<!doctype", r"<html"))
