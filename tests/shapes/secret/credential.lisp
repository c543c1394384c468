(defcredential aws
  "{{secret}}")
