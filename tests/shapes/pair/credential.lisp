(defcredential s3-backup
  :access-key "{{akia}}"
  :secret-key "{{secret}}")

(defcredential aws "{{akia b}}" "{{secret b}}")
