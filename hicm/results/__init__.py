"""Published numbers beside measured ones: what a paper says, what a released file gives here, do they agree?"""
