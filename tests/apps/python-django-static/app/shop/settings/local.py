from .base import *

DEBUG = True
SECRET_KEY = "of no use"
